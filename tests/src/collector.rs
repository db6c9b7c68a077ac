//! A collector of traces that keeps what it is told: OTLP over HTTP, in protobuf, as the real ones take it.
//! Must not know: who tells, which spans there should be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A span as it was told.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// Its trace, in hexadecimal digits.
    pub trace: String,
    /// Itself, in hexadecimal digits.
    pub id: String,
    /// The span that it is a child of; empty for the first of a trace.
    pub parent: String,
    /// What other systems say of the trace.
    pub state: String,
    /// Its name.
    pub name: String,
    /// When it began and ended, in nanoseconds of Unix time.
    pub nanos: (u64, u64),
    /// Whatever else it says, as text.
    pub attributes: BTreeMap<String, String>,
    /// The traces that it names.
    pub links: Vec<String>,
}

/// A collector on a free port. It ends with the runtime.
#[derive(Clone, Debug)]
pub struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let collector = Self { address, spans: Arc::default() };
        let keeper = collector.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(keeper.clone().serve(socket));
            }
        });
        collector
    }

    /// Where it is told: a setting of the program.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it was told so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("nobody panics while it holds the spans").clone()
    }

    /// Those of one trace.
    pub fn trace(&self, trace: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }

    async fn serve(self, socket: TcpStream) {
        let mut socket = BufReader::new(socket);
        while let Some(body) = read_request(&mut socket).await {
            let spans = spans_of(&body);
            self.spans.lock().expect("nobody panics while it holds the spans").extend(spans);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
            if socket.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// The body of the next request; `None` at the end of the connection.
async fn read_request(socket: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut length, mut line) = (0, String::new());
    socket.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    assert!(line.starts_with("POST /v1/traces HTTP/1.1"), "a collector is told at its usual place: {line:?}");
    loop {
        line.clear();
        socket.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            "content-type" => assert_eq!(value, "application/x-protobuf"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// `ExportTraceServiceRequest` → `ResourceSpans` → `ScopeSpans` → `Span`.
fn spans_of(request: &[u8]) -> Vec<Span> {
    let inside = |parts: Vec<Vec<u8>>, number: u64| -> Vec<Vec<u8>> {
        parts.iter().flat_map(|part| all(part, number)).collect()
    };
    let spans = inside(inside(all(request, 1), 2), 2);
    spans.iter().map(|span| span_of(span)).collect()
}

fn span_of(bytes: &[u8]) -> Span {
    let text = |number| String::from_utf8(first(bytes, number)).expect("text in UTF-8");
    let instant = |number| first(bytes, number).try_into().map_or(0, u64::from_le_bytes);
    let pairs = all(bytes, 9);
    let attributes = pairs.iter().map(|pair| {
        let key = String::from_utf8(first(pair, 1)).expect("text in UTF-8");
        (key, value_of(&first(pair, 2)))
    });
    Span {
        trace: hex(&first(bytes, 1)),
        id: hex(&first(bytes, 2)),
        state: text(3),
        parent: hex(&first(bytes, 4)),
        name: text(5),
        nanos: (instant(7), instant(8)),
        attributes: attributes.collect(),
        links: all(bytes, 13).iter().map(|link| hex(&first(link, 1))).collect(),
    }
}

/// `AnyValue`: a text, or a number.
fn value_of(bytes: &[u8]) -> String {
    match fields(bytes).into_iter().next() {
        Some((1, text)) => String::from_utf8(text).expect("text in UTF-8"),
        Some((_, number)) => {
            number.try_into().map_or_else(|_| String::new(), |bytes| i64::from_le_bytes(bytes).to_string())
        }
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn first(message: &[u8], number: u64) -> Vec<u8> {
    all(message, number).into_iter().next().unwrap_or_default()
}

fn all(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    fields(message).into_iter().filter(|(known, _)| *known == number).map(|(_, value)| value).collect()
}

/// The fields of a message with their numbers; numbers as eight bytes.
fn fields(mut rest: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let value = match key & 7 {
            0 => varint(&mut rest).to_le_bytes().to_vec(),
            1 => take(&mut rest, 8),
            2 => {
                let length = varint(&mut rest) as usize;
                take(&mut rest, length)
            }
            5 => take(&mut rest, 4),
            kind => panic!("no such kind of field: {kind}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
    }
    panic!("a number without end")
}

fn take(rest: &mut &[u8], length: usize) -> Vec<u8> {
    let (taken, left) = rest.split_at_checked(length).expect("a whole message");
    *rest = left;
    taken.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart() {
        // Field 1: 300; field 2: "ab"; field 3: four bytes.
        let message = [0x08, 0xac, 0x02, 0x12, 0x02, b'a', b'b', 0x1d, 1, 2, 3, 4];
        assert_eq!(fields(&message), [(1, 300_u64.to_le_bytes().to_vec()), (2, b"ab".to_vec()), (3, vec![1, 2, 3, 4])]);
    }
}
