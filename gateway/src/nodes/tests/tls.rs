//! Mutual TLS between nodes.
//! Must not know: what is said.

use std::path::PathBuf;

use super::super::client::{Client, HopError};
use super::super::tls::NodeTls;
use super::pair::{Ask, PATIENCE, TestNode, book, day, day_path, publish};
use crate::config::NodeTlsFiles;

const DATE: &str = "2100-05-03";

fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/nodes/tests/pem").join(name)
}

fn files() -> NodeTlsFiles {
    NodeTlsFiles { certificate: pem("node.pem"), key: pem("node.key"), authority: pem("ca.pem") }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_certificates_of_one_authority_talk_and_nobody_else_does() {
    let tls = NodeTls::load(&files()).expect("good files");
    let (wrong, right) = (TestNode::start(1, Some(&tls)).await, TestNode::start(2, Some(&tls)).await);
    wrong.give_up(&[day(DATE)]);
    wrong.believes_in(Some(&right.internal));
    assert_eq!(wrong.ask(&publish(DATE, 2)).await.status, 201);
    assert_eq!(wrong.ask(&book(DATE, 11)).await.status, 201);
    assert_eq!(right.ask(&Ask::new("GET", day_path(DATE))).await.json["slots"][0]["remaining"], 1);

    let read = Ask::new("GET", day_path(DATE)).header("hotslot-hop", "1");
    assert!(right.ask_inside(&read).await.is_err(), "not in the clear");
    let stranger = NodeTls::load(&NodeTlsFiles { authority: pem("other.pem"), ..files() }).expect("good files");
    let asked = Client::new(Some(&stranger.client)).ask(&right.internal, &read.question(), PATIENCE).await;
    assert!(matches!(asked, Err(HopError::NotSent(_))), "{asked:?}");
    wrong.stop().await;
    right.stop().await;
}

#[test]
fn a_file_that_is_none_is_told_with_its_setting() {
    for (files, setting) in [
        (NodeTlsFiles { certificate: pem("absent"), ..files() }, "node_tls_cert: "),
        (NodeTlsFiles { certificate: pem("node.key"), ..files() }, "node_tls_cert: "),
        (NodeTlsFiles { certificate: pem("other.pem"), ..files() }, "node_tls_cert: "),
        (NodeTlsFiles { key: pem("node.pem"), ..files() }, "node_tls_key: "),
        (NodeTlsFiles { authority: pem("node.key"), ..files() }, "node_tls_ca: "),
    ] {
        let told = NodeTls::load(&files).err().expect("refused").to_string();
        assert!(told.starts_with(setting) && !told.contains('\n'), "{told}");
    }
}
