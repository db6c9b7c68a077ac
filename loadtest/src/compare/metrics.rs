//! One page of metrics of a running hotslot, and a number on it.
//! Must not know: which numbers are good, what is pressed.

use std::time::Duration;

use crate::driver::connection::Connection;
use crate::driver::target::Target;

/// How long one reading may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A node's page, over and over.
#[derive(Debug)]
pub(crate) struct Metrics {
    target: Target,
    /// Kept for the next reading.
    connection: Option<Connection>,
}

impl Metrics {
    /// Of the hotslot at `target`.
    pub(crate) const fn of(target: Target) -> Self {
        Self { target, connection: None }
    }

    /// The values of these series (each as the page writes it: the name, and its labels where it has any), in their order. Says what is
    /// wrong if the page cannot be read in time, or lacks one.
    pub(crate) async fn read<const COUNT: usize>(&mut self, series: [&str; COUNT]) -> Result<[f64; COUNT], String> {
        let page = tokio::time::timeout(READ_TIMEOUT, self.page()).await;
        let page = page.unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
        let mut values = [0.0; COUNT];
        for (value, series) in values.iter_mut().zip(series) {
            *value = value_of(&page, series).ok_or_else(|| format!("the page of metrics lacks {series}"))?;
        }
        Ok(values)
    }

    async fn page(&mut self) -> Result<String, String> {
        let mut connection = match self.connection.take().filter(Connection::is_usable) {
            Some(connection) => connection,
            None => Connection::open(self.target.address).await.map_err(|error| error.to_string())?,
        };
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", self.target.host);
        let answer = connection.exchange(request.as_bytes()).await.map_err(|error| error.to_string())?;
        if answer.head.status != 200 {
            return Err(format!("status {} from the page of metrics", answer.head.status));
        }
        let page = String::from_utf8_lossy(answer.body).into_owned();
        self.connection = Some(connection);
        Ok(page)
    }
}

/// The value of a series.
fn value_of(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let lag = "hotslot_ledger_lag_records";
        let page = "# HELP hotslot_ledger_lag_records x\nhotslot_ledger_lag_records_more 9\n\
                    hotslot_ledger_lag_records 1234\nother 5\nforwards{outcome=\"here\"} 3\nforwards{outcome=\"lost\"} 4\n";
        assert_eq!(value_of(page, lag), Some(1234.0));
        assert_eq!(value_of(page, "hotslot"), None);
        assert_eq!(value_of(page, "forwards{outcome=\"lost\"}"), Some(4.0));
        assert_eq!(value_of("hotslot_ledger_lag_records nonsense\n", lag), None);
    }
}
