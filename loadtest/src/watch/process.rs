//! What the server's metrics page says of its process: memory and processor time.
//! Must not know: what the server did meanwhile.

use std::time::Duration;

use serde::Serialize;

use crate::driver::connection::{Connection, TransportError};
use crate::driver::target::Target;

/// How long the page may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The process of the server at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ServerProcess {
    /// Memory that it really has.
    pub(crate) resident_bytes: f64,
    /// Processor time since it began.
    pub(crate) cpu_seconds: f64,
}

/// Reads the page; `None` where the server has none beside its interface, or is not asked in time.
pub(crate) async fn read(target: &Target) -> Option<ServerProcess> {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", target.host);
    let page = async {
        let mut connection = Connection::open(target.address).await?;
        let answer = connection.exchange(request.as_bytes()).await?;
        Ok::<_, TransportError>((answer.head.status == 200).then(|| answer.body.to_vec()))
    };
    let page = tokio::time::timeout(READ_TIMEOUT, page).await.ok()?.ok()??;
    process_of(std::str::from_utf8(&page).ok()?)
}

fn process_of(page: &str) -> Option<ServerProcess> {
    let number = |name: &str| {
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.trim().parse().ok()
    };
    Some(ServerProcess {
        resident_bytes: number("process_resident_memory_bytes")?,
        cpu_seconds: number("process_cpu_seconds_total")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_where_it_has_both_numbers() {
        let page = "# HELP x\nprocess_resident_memory_bytes 4096\nprocess_cpu_seconds_total 1.5\n";
        assert_eq!(process_of(page), Some(ServerProcess { resident_bytes: 4096.0, cpu_seconds: 1.5 }));
        assert_eq!(process_of("process_resident_memory_bytes 4096\n"), None);
    }
}
