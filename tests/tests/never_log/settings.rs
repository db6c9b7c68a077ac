//! The settings whose values are secrets, or hold one.
//! Must not know: what they are for.

/// One of them.
pub struct Secret {
    /// Its key in the file.
    pub key: &'static str,
    /// A value that could be right, with `{}` where the secret is.
    pub right: &'static str,
    /// A value that is wrong.
    pub wrong: &'static str,
}

impl Secret {
    /// Its flag.
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("HOTSLOT_{}", self.key.to_uppercase())
    }
}

/// Each is tried as a flag, as a variable, and in a file, right and wrong. A new secret setting belongs here.
pub const SECRET: &[Secret] = &[
    Secret { key: "jwt_key", right: "{}", wrong: "zz{}" },
    Secret { key: "redis_url", right: "redis://:{}@127.0.0.1:1", wrong: "http://:{}@127.0.0.1:1" },
    Secret { key: "database_url", right: "postgres://u:{}@127.0.0.1/x", wrong: "mysql://u:{}@127.0.0.1/x" },
    Secret { key: "feed_redis_url", right: "redis://:{}@127.0.0.1:1", wrong: "{}" },
    Secret { key: "feed_nats_url", right: "nats://u:{}@127.0.0.1:1", wrong: "{}" },
    Secret { key: "smtp_password", right: "{}", wrong: " {}" },
    Secret { key: "sms_token", right: "{}", wrong: " {}" },
    Secret { key: "telegram_token", right: "1:{}", wrong: "{}" },
    Secret { key: "webhook_url", right: "https://example.org/{}", wrong: "{}" },
    Secret { key: "webhook_secret", right: "whsec_{}", wrong: "{}" },
    Secret { key: "alert_to", right: "email:{}@example.org", wrong: "{}" },
    Secret { key: "otlp_endpoint", right: "http://u:{}@127.0.0.1:1", wrong: "{}" },
];
