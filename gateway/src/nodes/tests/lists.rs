//! A list of days of several owners.
//! Must not know: single days.

use serde_json::Value;

use super::pair::{Ask, TestNode, book, day, doctor, publish};

const DATES: [&str; 3] = ["2100-05-03", "2100-05-04", "2100-05-05"];

fn list() -> Ask {
    Ask::new("GET", format!("/v1/doctors/{}/days?from=2100-05-01&to=2100-05-31", doctor()))
}

fn rows(body: &Value) -> Vec<(String, u64)> {
    let items = body["items"].as_array().expect("items");
    let row = |item: &Value| {
        (item["date"].as_str().expect("a date").to_owned(), item["remaining"].as_u64().expect("a number"))
    };
    items.iter().map(row).collect()
}

/// Both know of all days, as they would from a common journal; each speaks for some.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_every_owners_part_by_date_or_is_no_list() {
    let (one, two) = (TestNode::start(1, None).await, TestNode::start(2, None).await);
    for node in [&one, &two] {
        for date in DATES {
            assert_eq!(node.ask(&publish(date, 2)).await.status, 201);
        }
    }
    let [first, second, third] = DATES.map(day);
    assert!(first.shard() != second.shard() && second.shard() != third.shard() && first.shard() != third.shard());
    one.give_up(&[second]);
    two.give_up(&[first, third]);
    one.believes_in(Some(&two.internal));
    two.believes_in(Some(&one.internal));
    assert_eq!(two.ask(&book(DATES[1], 11)).await.status, 201);
    let whole: Vec<(String, u64)> =
        DATES.iter().zip([2, 1, 2]).map(|(date, left)| ((*date).to_owned(), left)).collect();
    for node in [&one, &two] {
        let told = node.ask(&list()).await;
        assert_eq!((told.status, rows(&told.json)), (200, whole.clone()));
    }
    // One of the days is nobody's.
    two.give_up(&[second]);
    let told = one.ask(&list()).await;
    assert_eq!((told.status, told.json["code"].as_str()), (503, Some("unavailable")), "never a silent gap");
    one.believes_in(None);
    assert_eq!(one.ask(&list()).await.status, 503);
    one.stop().await;
    two.stop().await;
}
