//! The HTTP side over a real socket, with the peer that needs no server.
//! Must not know: the other peers.

use clap::Parser as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::peer::prepare;

const DATE: &str = "2030-01-02";

/// Serves the bare handler.
async fn bare() -> SocketAddr {
    let setup = Setup::try_parse_from(["peers", "--kind", "bare", "--workers", "1"]).unwrap();
    let shared = prepare(&setup).await.unwrap();
    let (address, server) = start(&setup, shared).unwrap();
    actix_web::rt::spawn(server);
    address
}

/// One request over a connection of its own; answers status and body.
async fn call(address: SocketAddr, line: &str, headers: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let length = body.len();
    let request =
        format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

async fn press(address: SocketAddr, doctor: &str) -> (u16, Value) {
    let headers = format!("Authorization: Bearer t\r\nIdempotency-Key: storm-{}\r\n", fresh_id());
    call(address, "POST /v1/appointments", &headers, &json!({"doctor_id": doctor, "date": DATE})).await
}

#[actix_web::test]
async fn a_published_day_is_sold_and_then_refused() {
    let address = bare().await;
    let (status, doctor) = call(address, "POST /v1/doctors", "", &json!({})).await;
    let doctor = doctor["id"].as_str().unwrap();
    assert_eq!(status, 201);
    assert_eq!(press(address, doctor).await.0, 409);

    let day = json!({"slots": [{"start": "s", "end": "e"}, {"start": "s", "end": "e", "capacity": 2}]});
    assert_eq!(call(address, &format!("PUT /v1/doctors/{doctor}/days/{DATE}"), "", &day).await.0, 201);
    for _ in 0..3 {
        let (status, appointment) = press(address, doctor).await;
        assert_eq!((status, appointment["doctor_id"].as_str()), (201, Some(doctor)));
        assert_eq!(appointment["start"], "2030-01-02T08:00:00.000Z");
    }
    let (status, problem) = press(address, doctor).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("sold_out")));
}

#[actix_web::test]
async fn a_request_without_a_token_is_refused() {
    let (status, problem) = call(bare().await, "POST /v1/appointments", "", &json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (401, Some("unauthenticated")));
}
