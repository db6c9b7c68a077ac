//! A mail server that speaks SMTP over TCP, in the clear or encrypted, and does what the test says at each step.
//! Must not know: who sends, what mails are like.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::support::{Stream, acceptor};

/// What the server does.
#[derive(Clone, Default)]
pub struct Manner {
    /// Encrypted from the first byte.
    pub tls: bool,
    /// Offers and understands STARTTLS.
    pub starttls: bool,
    /// Offers SMTPUTF8.
    pub utf8: bool,
    /// Command (in capitals; `GREETING`, and `CONTENT` for the end of a mail) and what is said instead of yes: a reply, or
    /// nothing for ever if empty.
    pub replies: Vec<(&'static str, &'static str)>,
}

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The `MAIL FROM` line.
    pub from: String,
    /// The `RCPT TO` line.
    pub to: String,
    /// Header and body, dots unstuffed.
    pub content: String,
    /// Whether it came encrypted.
    pub encrypted: bool,
    /// The connection's number, from 0.
    pub connection: usize,
}

#[derive(Default)]
struct Seen {
    mails: Vec<Mail>,
    commands: Vec<String>,
    connections: usize,
}

/// A running server; stops with the value.
pub struct MailServer {
    /// Where it listens.
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    server: JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl MailServer {
    /// Starts one.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (tls, shared) = (acceptor(), Arc::clone(&seen));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = {
                    let mut seen = shared.lock();
                    seen.connections += 1;
                    seen.connections - 1
                };
                let session = Session { manner: manner.clone(), seen: Arc::clone(&shared), connection };
                tokio::spawn(session.run(stream, tls.clone()));
            }
        });
        Self { port, seen, server }
    }

    /// What has come.
    pub fn mails(&self) -> Vec<Mail> {
        self.seen.lock().mails.clone()
    }

    /// Every command, as it came.
    pub fn commands(&self) -> Vec<String> {
        self.seen.lock().commands.clone()
    }
}

struct Session {
    manner: Manner,
    seen: Arc<Mutex<Seen>>,
    connection: usize,
}

impl Session {
    async fn run(self, stream: tokio::net::TcpStream, tls: TlsAcceptor) -> io::Result<()> {
        let mut stream: BufReader<Box<dyn Stream>> = if self.manner.tls {
            BufReader::new(Box::new(tls.accept(stream).await?))
        } else {
            BufReader::new(Box::new(stream))
        };
        let mut encrypted = self.manner.tls;
        let (mut from, mut to) = (String::new(), String::new());
        self.reply(&mut stream, "GREETING", "220 double").await?;
        while let Some(line) = line(&mut stream).await? {
            self.seen.lock().commands.push(line.clone());
            let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            match word.as_str() {
                "EHLO" => self.reply(&mut stream, "EHLO", &self.extensions(encrypted)).await?,
                "STARTTLS" => {
                    self.reply(&mut stream, "STARTTLS", "220 go ahead").await?;
                    stream = BufReader::new(Box::new(tls.accept(stream.into_inner()).await?));
                    encrypted = true;
                }
                "AUTH" => self.reply(&mut stream, "AUTH", "235 welcome").await?,
                "DATA" => {
                    self.reply(&mut stream, "DATA", "354 go on").await?;
                    let content = content(&mut stream).await?;
                    let mail =
                        Mail { from: from.clone(), to: to.clone(), content, encrypted, connection: self.connection };
                    self.seen.lock().mails.push(mail);
                    self.reply(&mut stream, "CONTENT", "250 taken").await?;
                }
                "QUIT" => return self.reply(&mut stream, "QUIT", "221 bye").await,
                "MAIL" | "RCPT" => {
                    let kept = if word == "MAIL" { &mut from } else { &mut to };
                    kept.clone_from(&line);
                    self.reply(&mut stream, &word, "250 fine").await?;
                }
                _ => self.reply(&mut stream, &word, "250 fine").await?,
            }
        }
        Ok(())
    }

    fn extensions(&self, encrypted: bool) -> String {
        let mut lines = vec!["250-double"];
        if self.manner.starttls && !encrypted {
            lines.push("250-STARTTLS");
        }
        if self.manner.utf8 {
            lines.push("250-SMTPUTF8");
        }
        lines.push("250 AUTH PLAIN LOGIN");
        lines.join("\r\n")
    }

    async fn reply(&self, stream: &mut BufReader<Box<dyn Stream>>, step: &str, yes: &str) -> io::Result<()> {
        let said = self.manner.replies.iter().find(|(at, _)| *at == step).map_or(yes, |(_, reply)| reply);
        if said.is_empty() {
            return std::future::pending().await;
        }
        stream.write_all(format!("{said}\r\n").as_bytes()).await?;
        stream.flush().await
    }
}

async fn line(stream: &mut BufReader<Box<dyn Stream>>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn content(stream: &mut BufReader<Box<dyn Stream>>) -> io::Result<String> {
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
