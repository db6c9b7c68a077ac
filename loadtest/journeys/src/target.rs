//! Which server is meant, and whether it may be loaded.
//! Must not know: what is sent there.

use std::net::SocketAddr;

use thiserror::Error;

/// Why a URL cannot be the target of a run.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    /// Not of the form `http://HOST[:PORT]`.
    #[error("--host {host}: {reason}")]
    Malformed {
        /// As given.
        host: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name does not resolve.
    #[error("--host {host}: cannot resolve: {source}")]
    Unresolved {
        /// As given.
        host: String,
        /// What the resolver says.
        source: std::io::Error,
    },
    /// Another machine, and nobody said that this is meant.
    #[error("--host {host}: {address} is not loopback; pass --allow-remote to load another machine")]
    Remote {
        /// As given.
        host: String,
        /// What it resolves to.
        address: SocketAddr,
    },
}

/// `host` without a slash at its end; only loopback addresses pass unless `allow_remote`.
pub(crate) async fn resolve(host: &str, allow_remote: bool) -> Result<String, TargetError> {
    let authority = authority_of(host)?;
    let has_port = authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let with_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let unresolved = |source| TargetError::Unresolved { host: host.to_owned(), source };
    let mut addresses = tokio::net::lookup_host(&with_port).await.map_err(unresolved)?;
    // All of them: the client may connect to any.
    match addresses.find(|address| !address.ip().is_loopback()) {
        Some(address) if !allow_remote => Err(TargetError::Remote { host: host.to_owned(), address }),
        _ => Ok(format!("http://{authority}")),
    }
}

/// The authority of a plain-HTTP URL without a path.
fn authority_of(host: &str) -> Result<&str, TargetError> {
    let malformed = |reason| TargetError::Malformed { host: host.to_owned(), reason };
    let rest = host.strip_prefix("http://").ok_or_else(|| malformed("must begin with http://"))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.is_empty() {
        return Err(malformed("names no host"));
    }
    if authority.contains(['/', '?', '#', '@']) || authority.contains(char::is_whitespace) {
        return Err(malformed("must be http://HOST:PORT and nothing more"));
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_passes_and_another_machine_needs_to_be_allowed() {
        for host in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://[::1]:9", "http://[::1]"] {
            assert_eq!(resolve(host, false).await.unwrap(), host.trim_end_matches('/'));
        }
        assert!(matches!(resolve("http://192.0.2.1:80", false).await, Err(TargetError::Remote { .. })));
        assert_eq!(resolve("http://192.0.2.1:80", true).await.unwrap(), "http://192.0.2.1:80");
    }

    #[tokio::test]
    async fn what_is_no_plain_base_url_is_refused() {
        for host in ["https://127.0.0.1", "127.0.0.1:80", "http://", "http://127.0.0.1/v1", "http://a@127.0.0.1"] {
            assert!(matches!(resolve(host, true).await, Err(TargetError::Malformed { .. })), "{host}");
        }
    }
}
