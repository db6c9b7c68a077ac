//! Which server is meant: from the text of a URL to a socket address that may be loaded.
//! Must not know: what is sent there.

use std::net::SocketAddr;

use thiserror::Error;

/// Why a URL cannot be the target of a run.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    /// Not of the form `http://HOST[:PORT]`.
    #[error("--url {url}: {reason}")]
    Malformed {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name does not resolve.
    #[error("--url {url}: cannot resolve: {source}")]
    Unresolved {
        /// As given.
        url: String,
        /// What the resolver says.
        source: std::io::Error,
    },
    /// Another machine, and nobody said that this is meant.
    #[error("--url {url}: {address} is not loopback; pass --allow-remote to load another machine")]
    Remote {
        /// As given.
        url: String,
        /// What it resolves to.
        address: SocketAddr,
    },
}

/// A server that may be loaded.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// The value of the `Host` header.
    pub(crate) host: String,
}

impl Target {
    /// Resolves `url`; only loopback addresses pass unless `allow_remote`.
    pub(crate) async fn resolve(url: &str, allow_remote: bool) -> Result<Self, TargetError> {
        let host = host_of(url)?;
        let has_port = host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
        let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
        let unresolved = |source| TargetError::Unresolved { url: url.to_owned(), source };
        let mut addresses = tokio::net::lookup_host(&with_port).await.map_err(unresolved)?;
        let address = addresses
            .next()
            .ok_or(TargetError::Malformed { url: url.to_owned(), reason: "the name has no address" })?;
        if !address.ip().is_loopback() && !allow_remote {
            return Err(TargetError::Remote { url: url.to_owned(), address });
        }
        Ok(Self { address, host: host.to_owned() })
    }
}

/// The authority of a plain-HTTP URL without a path.
fn host_of(url: &str) -> Result<&str, TargetError> {
    let malformed = |reason| TargetError::Malformed { url: url.to_owned(), reason };
    let rest = url.strip_prefix("http://").ok_or_else(|| malformed("must begin with http://"))?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.is_empty() {
        return Err(malformed("names no host"));
    }
    if host.contains(['/', '?', '#', '@']) || host.contains(char::is_whitespace) {
        return Err(malformed("must be http://HOST:PORT and nothing more"));
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_passes_in_every_spelling() {
        for (url, address) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://127.0.0.1", "127.0.0.1:80"),
            ("http://[::1]:9", "[::1]:9"),
            ("http://[::1]", "[::1]:80"),
        ] {
            let target = Target::resolve(url, false).await.unwrap();
            assert_eq!(target.address, address.parse().unwrap(), "{url}");
        }
    }

    #[tokio::test]
    async fn another_machine_needs_to_be_allowed() {
        assert!(matches!(Target::resolve("http://192.0.2.1:80", false).await, Err(TargetError::Remote { .. })));
        assert!(Target::resolve("http://192.0.2.1:80", true).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_no_plain_base_url_is_refused() {
        for url in ["https://127.0.0.1", "127.0.0.1:80", "http://", "http://127.0.0.1/v1", "http://a@127.0.0.1"] {
            assert!(matches!(Target::resolve(url, true).await, Err(TargetError::Malformed { .. })), "{url}");
        }
    }
}
