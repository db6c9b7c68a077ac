//! What a person at a terminal reads: the first screen, and complaints.
//! Must not know: where the words come from.

use std::io::{self, Write};
use std::net::SocketAddr;

use booking_core::{DayKey, UtcMillis};

use crate::api::instant::InstantText;

/// Writes `text` and a line break to standard output, at once.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}

/// Writes a complaint to standard error. Nobody could be told if that failed.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "hotslot: {line}");
}

/// The first line of `serve`, which programs read.
pub(crate) fn listening(address: SocketAddr) -> String {
    format!("listening http://{address}")
}

/// The popular doctor of the demonstration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PopularDay {
    /// The day that is about to be released.
    pub(crate) day: DayKey,
    /// When.
    pub(crate) release_at: UtcMillis,
}

/// Tokens to try with, one a role.
#[derive(Clone, Debug)]
pub(crate) struct DemoTokens {
    /// Of a new patient.
    pub(crate) patient: String,
    /// Of one of the doctors, if there is one.
    pub(crate) doctor: String,
    /// Of an admin.
    pub(crate) admin: String,
}

/// Where things are: what every first screen says.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The interface.
    pub(crate) address: SocketAddr,
    /// The metrics.
    pub(crate) metrics_address: SocketAddr,
    /// The data directory, as given.
    pub(crate) data_dir: String,
    /// The key file, as given; `None` if the key is in the settings.
    pub(crate) key_file: Option<String>,
}

impl Places {
    fn addresses(&self) -> String {
        let (address, metrics) = (self.address, self.metrics_address);
        format!(
            "  interface   http://{address}/docs\n  doctors     http://{address}/v1/doctors\n  \
             health      http://{address}/healthz/ready\n  metrics     http://{metrics}/metrics\n"
        )
    }
}

/// The first screen without a demonstration.
pub(crate) fn plain(places: &Places) -> String {
    let data_dir = &places.data_dir;
    format!(
        "\n{}\nTokens:        hotslot token --role admin --data-dir {data_dir}\n\
         To look around: hotslot serve --demo --data-dir ./demo-data\nTo stop:       Ctrl-C\n",
        places.addresses()
    )
}

/// The first screen of the demonstration. `popular` is absent if the data directory was not empty.
pub(crate) fn demo(places: &Places, tokens: &DemoTokens, popular: Option<PopularDay>) -> String {
    let mut text = format!("\n{}\n", places.addresses());
    if popular.is_none() {
        text.push_str("The data directory is not empty: the demonstration's clinic was not loaded again.\n\n");
    }
    let DemoTokens { patient, doctor, admin } = tokens;
    text.push_str(&format!("Tokens, for a day:\n\nPATIENT='{patient}'\nDOCTOR='{doctor}'\nADMIN='{admin}'\n"));
    if let Some(popular) = popular {
        text.push_str(&popular_text(places, &popular));
    }
    text.push_str("\nTo stop: Ctrl-C\n");
    text
}

fn popular_text(places: &Places, popular: &PopularDay) -> String {
    let address = places.address;
    let (doctor, date, release_at) = (popular.day.doctor, popular.day.date, InstantText(popular.release_at));
    let storm = places.key_file.as_ref().map_or_else(String::new, |key_file| {
        format!(
            "\nA thousand patients at once (start it before the release, or after):\n\n  cargo run --release -p loadtest -- \
             storm --url http://{address} --doctor {doctor} --date {date} --patients 1000 --connections 64 --key-file \
             {key_file}\n"
        )
    });
    format!(
        "\nThe popular doctor's next day, 20 places, is released a minute after the start:\n\n  doctor   {doctor}\n  \
         date     {date}\n  release  {release_at}\n\nPaste the tokens above, then look and book:\n\n  \
         curl http://{address}/v1/doctors/{doctor}/days/{date}\n\n  curl -i -X POST http://{address}/v1/appointments \\\n    \
         -H \"Authorization: Bearer $PATIENT\" -H \"Content-Type: application/json\" \\\n    \
         -H \"Idempotency-Key: try-1\" -d '{{\"doctor_id\":\"{doctor}\",\"date\":\"{date}\"}}'\n{storm}"
    )
}
