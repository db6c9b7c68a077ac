//! A mail server that speaks SMTP, and does to each mail what the test says of its recipient; and the mails that have come, taken apart.
//! Must not know: which mails there should be.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What becomes of a mail.
#[derive(Clone)]
pub enum Manner {
    /// It is taken.
    Take,
    /// It has come whole, and is put off: 451.
    PutOff,
    /// There is no such recipient: 550.
    Refuse,
    /// It has come whole, and nothing is said of it until the notice comes; then it is taken.
    Hang(Arc<Notify>),
}

/// A mail that has come whole.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Whom it is for.
    pub to: String,
    /// Header and body, dots unstuffed.
    pub content: String,
    /// Whether the sender was told that it is taken.
    pub is_taken: bool,
}

#[derive(Default)]
struct State {
    /// By recipient: one a mail, the last again and again.
    manners: HashMap<String, VecDeque<Manner>>,
    mails: Vec<Mail>,
    refused: Vec<String>,
}

/// See the module. Ends with its value.
pub struct Mailbox {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mailbox {
    /// One that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(BufReader::new(stream), Arc::clone(&shared)));
            }
        });
        Self { port, state, task }
    }

    /// Does these to the mails of this recipient, one each; the last again and again.
    pub fn treat(&self, recipient: &str, manners: Vec<Manner>) {
        lock(&self.state).manners.insert(recipient.to_owned(), manners.into());
    }

    /// The settings of a program that sends here.
    pub fn arguments(&self) -> Vec<String> {
        let port = self.port.to_string();
        let arguments = ["--smtp-host", "127.0.0.1", "--smtp-port", &port, "--smtp-tls", "none"];
        let from = ["--smtp-from", "Clinic <clinic@example.org>"];
        arguments.iter().chain(&from).map(|argument| (*argument).to_owned()).collect()
    }

    /// What has come for this recipient.
    pub fn mails_to(&self, recipient: &str) -> Vec<Mail> {
        lock(&self.state).mails.iter().filter(|mail| mail.to == recipient).cloned().collect()
    }

    /// How often this recipient was refused.
    pub fn refused(&self, recipient: &str) -> usize {
        lock(&self.state).refused.iter().filter(|refused| *refused == recipient).count()
    }
}

impl Mail {
    /// The value of a header of the mail itself.
    pub fn header(&self, name: &str) -> &str {
        let head = self.content.split("\r\n\r\n").next().unwrap_or_default();
        let found = head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name);
        found.map_or_else(|| panic!("no {name} in {}", self.content), |(_, value)| value)
    }

    /// The invitation: `method` of its content type, and the whole calendar with its lines unfolded.
    pub fn calendar(&self) -> (String, String) {
        let parts = self.content.split("\r\n--").filter_map(|part| part.split_once("\r\n\r\n"));
        let (head, body) = parts
            .into_iter()
            .find(|(head, _)| head.contains("Content-Type: text/calendar"))
            .unwrap_or_else(|| panic!("no calendar in {}", self.content));
        let method =
            head.split_once("method=").expect("a method").1.split([';', '\r', '\n']).next().unwrap_or_default();
        let body = match head.contains("quoted-printable") {
            true => unquoted(body),
            false => body.to_owned(),
        };
        assert!(!head.contains("base64"), "a calendar in ASCII needs none: {head}");
        (method.to_owned(), body.replace("\r\n ", ""))
    }
}

/// Of quoted-printable.
fn unquoted(body: &str) -> String {
    let body = body.replace("=\r\n", "");
    let (mut bytes, mut rest) = (Vec::new(), body.as_bytes());
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'=').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).expect("text")
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn manner(state: &Mutex<State>, recipient: &str) -> Manner {
    let mut state = lock(state);
    let Some(manners) = state.manners.get_mut(recipient) else { return Manner::Take };
    let next = if manners.len() > 1 { manners.pop_front() } else { manners.front().cloned() };
    next.unwrap_or(Manner::Take)
}

/// One connection, to its end.
async fn converse(mut stream: BufReader<TcpStream>, state: Arc<Mutex<State>>) -> io::Result<()> {
    say(&mut stream, "220 mailbox").await?;
    let (mut to, mut next) = (String::new(), Manner::Take);
    while let Some(line) = line(&mut stream).await? {
        let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        match word.as_str() {
            "EHLO" => say(&mut stream, "250-mailbox\r\n250 8BITMIME").await?,
            "RCPT" => {
                let address = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                to = address.map(|(address, _)| address.to_owned()).unwrap_or_default();
                next = manner(&state, &to);
                if let Manner::Refuse = next {
                    lock(&state).refused.push(to.clone());
                    say(&mut stream, "550 5.1.1 no such user").await?;
                } else {
                    say(&mut stream, "250 fine").await?;
                }
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let content = content(&mut stream).await?;
                let number = {
                    let mails = &mut lock(&state).mails;
                    mails.push(Mail { to: to.clone(), content, is_taken: false });
                    mails.len() - 1
                };
                if let Manner::PutOff = next {
                    say(&mut stream, "451 4.3.0 later").await?;
                    continue;
                }
                if let Manner::Hang(notice) = &next {
                    notice.notified().await;
                }
                say(&mut stream, "250 taken").await?;
                lock(&state).mails[number].is_taken = true;
            }
            "QUIT" => return say(&mut stream, "221 bye").await,
            _ => say(&mut stream, "250 fine").await?,
        }
    }
    Ok(())
}

async fn say(stream: &mut BufReader<TcpStream>, reply: &str) -> io::Result<()> {
    stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn content(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut content = String::new();
    while let Some(line) = line(stream).await? {
        if line == "." {
            return Ok(content);
        }
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
        content.push_str("\r\n");
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
