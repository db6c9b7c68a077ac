//! One connection through the proxy: pieces read on one side, written on the other when the network lets them.
//! Must not know: who breaks the network, and why.

use std::future::Pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Timeout;

use super::{Direction, Network, Passed};

const PIECE_BYTES: usize = 16 * 1024;
/// Pieces under way in one direction: a megabyte, so that a delay does not slow a stream; then the sender must wait.
const PIECES_HELD: usize = 64;

/// What was read.
enum Piece {
    /// Bytes, and when they may be handed on; at once without a delay.
    Bytes(Vec<u8>, Option<Pin<Box<Timeout<Pending<()>>>>>),
    /// The connection is broken.
    Broken,
}

/// Accepts connections until the proxy closes.
pub(super) async fn serve(listener: std::net::TcpListener, network: watch::Receiver<Network>, passed: Arc<Passed>) {
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    let mut closing = network.clone();
    let accept = async {
        loop {
            // A connection that was given up before it was accepted is no concern of anybody.
            if let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, network.clone(), Arc::clone(&passed)));
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = closing.wait_for(|network| network.is_closing) => {}
    }
}

async fn carry(mut client: TcpStream, network: watch::Receiver<Network>, passed: Arc<Passed>) {
    let (born, was_cut) = {
        let now = network.borrow();
        (now.cuts, now.is_cut)
    };
    let server = tokio::select! {
        biased;
        () = cut_since(network.clone(), born) => None,
        server = reach(network.clone()), if !was_cut => server.ok(),
    };
    let Some(mut server) = server else { return reset(&client) };
    let broken = tokio::select! {
        biased;
        () = cut_since(network.clone(), born) => true,
        relayed = relay(&mut client, &mut server, &network, born, &passed) => relayed.is_err(),
    };
    if broken {
        reset(&client);
        reset(&server);
    }
}

/// Waits until the network is cut anew. A network that is cut already has been cut before the connection was born.
async fn cut_since(mut network: watch::Receiver<Network>, born: u64) {
    // The sender is gone: so are the connections.
    let _ = network.wait_for(|network| network.is_cut || network.cuts != born).await;
}

/// The other side gets RST when the socket is dropped.
fn reset(stream: &TcpStream) {
    // A socket that refuses is broken already.
    let _ = stream.set_zero_linger();
}

/// Connects to the server, once requests may pass; a refusal is heard once answers may pass.
async fn reach(mut network: watch::Receiver<Network>) -> io::Result<TcpStream> {
    let target = network.wait_for(|network| !network.holds_requests).await.map_err(io::Error::other)?.target;
    let reached = TcpStream::connect(target).await;
    if reached.is_err() {
        network.wait_for(|network| !network.holds_answers).await.map_err(io::Error::other)?;
    }
    reached
}

async fn relay(
    client: &mut TcpStream,
    server: &mut TcpStream,
    network: &watch::Receiver<Network>,
    born: u64,
    passed: &Passed,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let requests = Way { direction: Direction::Requests, born, network: network.clone(), passed: &passed.requests };
    let answers = Way { direction: Direction::Answers, born, network: network.clone(), passed: &passed.answers };
    tokio::try_join!(requests.pump(from_client, to_server), answers.pump(from_server, to_client))?;
    Ok(())
}

/// One direction of one connection.
struct Way<'proxy> {
    direction: Direction,
    born: u64,
    network: watch::Receiver<Network>,
    passed: &'proxy AtomicU64,
}

impl Way<'_> {
    async fn pump(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> io::Result<()> {
        let (sender, pieces) = mpsc::channel(PIECES_HELD);
        let reading = read_pieces(from, sender, self.network.clone());
        let ((), written) = tokio::join!(reading, self.write_pieces(pieces, to));
        written
    }

    /// An error is one of the side that was read: it is told to the other side, but no sooner than bytes would be. That the
    /// side written to is gone is heard from its own direction.
    async fn write_pieces(mut self, mut pieces: mpsc::Receiver<Piece>, mut to: WriteHalf<'_>) -> io::Result<()> {
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Bytes(bytes, due) => {
                    if let Some(due) = due {
                        let _ = due.await;
                    }
                    if self.write(&bytes, &to).await.is_err() {
                        return Ok(());
                    }
                }
                Piece::Broken => {
                    self.open().await?;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            }
        }
        self.open().await?;
        // Nobody there: nothing to tell.
        let _ = to.shutdown().await;
        Ok(())
    }

    /// Waits until something may pass.
    async fn open(&mut self) -> io::Result<()> {
        let direction = self.direction;
        self.network.wait_for(|network| !network.holds(direction)).await.map_err(io::Error::other)?;
        Ok(())
    }

    /// Writes all bytes, each only while the network lets it pass: the look and the write happen under the lock that a
    /// change of the network takes, so that nothing slips through after the change.
    async fn write(&mut self, mut bytes: &[u8], to: &WriteHalf<'_>) -> io::Result<()> {
        while !bytes.is_empty() {
            self.open().await?;
            to.writable().await?;
            let network = self.network.borrow();
            if network.cuts != self.born {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if network.holds(self.direction) {
                continue;
            }
            match to.try_write(bytes) {
                Ok(written) => {
                    bytes = &bytes[written..];
                    self.passed.fetch_add(written as u64, Ordering::Release);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

async fn read_pieces(mut from: ReadHalf<'_>, sender: mpsc::Sender<Piece>, network: watch::Receiver<Network>) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let piece = match from.read(&mut buffer).await {
            Ok(0) => return,
            Ok(length) => {
                let delay_ms = network.borrow().delay_ms;
                let delay = Duration::from_millis(delay_ms);
                let due = (delay_ms > 0).then(|| Box::pin(tokio::time::timeout(delay, std::future::pending())));
                Piece::Bytes(buffer[..length].to_vec(), due)
            }
            Err(_) => Piece::Broken,
        };
        let is_last = matches!(piece, Piece::Broken);
        if sender.send(piece).await.is_err() || is_last {
            return;
        }
    }
}
