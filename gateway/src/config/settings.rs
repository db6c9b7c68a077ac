//! The list of settings: one name, from which flag, environment variable and file key follow.
//! Must not know: values, defaults.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Key of the TOML file, in snake_case.
    pub(crate) key: &'static str,
    /// Flag without its dashes: the key with `-` for `_`.
    pub(crate) flag: &'static str,
    /// What a value looks like; `None` for a switch.
    pub(crate) value: Option<&'static str>,
    /// For `--help`.
    pub(crate) help: &'static str,
}

impl Setting {
    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("HOTSLOT_{}", self.key.to_uppercase())
    }
}

const fn setting(key: &'static str, flag: &'static str, value: &'static str, help: &'static str) -> Setting {
    Setting { key, flag, value: Some(value), help }
}

const fn switch(key: &'static str, flag: &'static str, help: &'static str) -> Setting {
    Setting { key, flag, value: None, help }
}

/// Every setting, in the order of `config.default.toml`.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "listen",
        "listen",
        "HOST:PORT",
        "Where the interface is served; port 0 takes any free one [default: 127.0.0.1:8080]",
    ),
    setting(
        "metrics_listen",
        "metrics-listen",
        "HOST:PORT",
        "Serve /metrics here only [default: beside the interface]",
    ),
    setting("data_dir", "data-dir", "DIR", "Where the embedded stores and the token key live [default: ./data]"),
    setting(
        "redis_url",
        "redis-url",
        "URL",
        "Redis for the journal; commas between some nodes of a cluster [default: a SQLite file]",
    ),
    setting(
        "redis_replicas",
        "redis-replicas",
        "COUNT",
        "Redis replicas that must have a booking before it is answered [default: 0]",
    ),
    switch(
        "redis_accept_appendfsync_no",
        "redis-accept-appendfsync-no",
        "Accept a Redis that leaves it to the operating system when its journal reaches the disk",
    ),
    setting(
        "database_url",
        "database-url",
        "URL",
        "PostgreSQL for the ledger, and for the journal without redis_url [default: SQLite files]",
    ),
    switch(
        "database_accept_asynchronous_standby",
        "database-accept-asynchronous-standby",
        "Accept a PostgreSQL standby that is not waited for: a failover may lose what was answered",
    ),
    setting(
        "node_listen",
        "node-listen",
        "HOST:PORT",
        "Be one of several nodes, and listen for the others here; port 0 takes any free one",
    ),
    setting(
        "node_address",
        "node-address",
        "HOST:PORT",
        "Where the other nodes reach this one [default: where it listens]",
    ),
    setting(
        "lease_millis",
        "lease-millis",
        "MILLIS",
        "How long a node that is silent keeps its days: 300 to 60000 [default: 6000]",
    ),
    setting("node_tls_cert", "node-tls-cert", "FILE", "Mutual TLS between nodes: this node's certificate (PEM)"),
    setting("node_tls_key", "node-tls-key", "FILE", "Mutual TLS between nodes: the certificate's key (PEM)"),
    setting("node_tls_ca", "node-tls-ca", "FILE", "Mutual TLS between nodes: the operator's own authority (PEM)"),
    setting("feed_redis_url", "feed-redis-url", "URL", "A Redis to which changes are announced [default: none]"),
    setting("feed_nats_url", "feed-nats-url", "URL", "A NATS server to which changes are announced [default: none]"),
    setting(
        "feed_events_max",
        "feed-events-max",
        "COUNT",
        "About how many events each of them keeps: 1000 to 1000000000 [default: 1000000]",
    ),
    setting(
        "reminder_offsets",
        "reminder-offsets",
        "DURATIONS",
        "When patients are reminded before a visit, or none [default: 24h,2h]",
    ),
    setting(
        "reminder_channels",
        "reminder-channels",
        "CHANNELS",
        "Where patients are told who do not say, in this order: file, email, sms, telegram, webhook [default: file]",
    ),
    setting(
        "reminder_retry_waits",
        "reminder-retry-waits",
        "DURATIONS",
        "How long to wait after each failed attempt at a message; after one more it is given up [default: 2s,4s,8s]",
    ),
    setting(
        "alert_to",
        "alert-to",
        "ADDRESSES",
        "Who is told of messages that no channel takes: the first that works, such as email:ops@example.org,file; or none \
         [default: file]",
    ),
    setting(
        "alert_interval_seconds",
        "alert-interval-seconds",
        "SECONDS",
        "Least time between two such alerts: 1 to 86400 [default: 300]",
    ),
    setting("smtp_host", "smtp-host", "HOST", "The server that takes mail [default: no mail]"),
    setting("smtp_port", "smtp-port", "PORT", "Its port [default: 587, with smtp_tls = tls 465]"),
    setting("smtp_tls", "smtp-tls", "HOW", "How mail is kept private: starttls, tls or none [default: starttls]"),
    setting("smtp_user", "smtp-user", "NAME", "To log in with, beside smtp_password"),
    setting("smtp_password", "smtp-password", "PASSWORD", "To log in with; better by environment than by flag"),
    setting("smtp_from", "smtp-from", "ADDRESS", "The sender, such as Practice <practice@example.org>"),
    setting("sms_url", "sms-url", "URL", "The gateway for text messages [default: https://api.twilio.com]"),
    setting("sms_account", "sms-account", "ID", "The account there [default: no text messages]"),
    setting("sms_token", "sms-token", "TOKEN", "Its password; better by environment than by flag"),
    setting("sms_from", "sms-from", "SENDER", "A number (E.164), a name, or the id of a messaging service"),
    setting("telegram_url", "telegram-url", "URL", "Where bots are called [default: https://api.telegram.org]"),
    setting("telegram_token", "telegram-token", "TOKEN", "The bot's token; by environment [default: no Telegram]"),
    setting("webhook_url", "webhook-url", "URL", "What is called with each message [default: no webhook]"),
    setting("webhook_secret", "webhook-secret", "SECRET", "What its calls are signed with: whsec_ and base64"),
    setting(
        "message_deadline_millis",
        "message-deadline-millis",
        "MILLIS",
        "How long a provider may take: 50 to 60000 [default: 10000]",
    ),
    setting(
        "message_authorities",
        "message-authorities",
        "FILE",
        "Authorities (PEM) that providers may have beside those that browsers trust",
    ),
    switch("message_allow_plain", "message-allow-plain", "Talk to providers in the clear beyond this machine too"),
    switch("demo", "demo", "Load a small clinic into an empty data directory, and print what to try"),
    setting("workers", "workers", "COUNT", "HTTP worker threads; 0: one a core [default: 0]"),
    setting("connections_max", "connections-max", "COUNT", "Most open connections of one worker [default: 25000]"),
    setting("streams_max", "streams-max", "COUNT", "Most open streams of days [default: 20000]"),
    setting(
        "stream_heartbeat_seconds",
        "stream-heartbeat-seconds",
        "SECONDS",
        "A silent stream gets a comment this often [default: 15]",
    ),
    setting("keep_alive_seconds", "keep-alive-seconds", "SECONDS", "How long an idle connection is kept [default: 75]"),
    setting(
        "shutdown_grace_seconds",
        "shutdown-grace-seconds",
        "SECONDS",
        "How long requests in flight may take after SIGTERM [default: 5]",
    ),
    setting(
        "jwt_key_file",
        "jwt-key-file",
        "FILE",
        "The key of tokens: 32 raw bytes [default: jwt.key in the data directory]",
    ),
    setting(
        "jwt_key",
        "jwt-key",
        "HEX",
        "The key of tokens: 64 hexadecimal digits; better by environment than by flag",
    ),
    setting(
        "rate_subject_per_second",
        "rate-subject-per-second",
        "COUNT",
        "Requests a second of one token subject [default: 100]",
    ),
    setting(
        "rate_subject_burst",
        "rate-subject-burst",
        "COUNT",
        "Requests at once of one token subject [default: 1000]",
    ),
    setting(
        "rate_address_per_second",
        "rate-address-per-second",
        "COUNT",
        "Requests a second of one address [default: 2000]",
    ),
    setting("rate_address_burst", "rate-address-burst", "COUNT", "Requests at once of one address [default: 10000]"),
    switch("rate_limit_loopback", "rate-limit-loopback", "Limit requests from this machine, too"),
    setting("log_format", "log-format", "text|json", "Form of log lines on standard error [default: text]"),
    setting("log_filter", "log-filter", "FILTER", "Which lines are logged, such as info,engine=debug"),
    setting(
        "otlp_endpoint",
        "otlp-endpoint",
        "URL",
        "A collector of traces, by OTLP over HTTP, such as http://127.0.0.1:4318 [default: none]",
    ),
    setting("trace_ratio", "trace-ratio", "SHARE", "The share of requests that is recorded, 0 to 1 [default: 0.01]"),
    setting("actor_threads", "actor-threads", "COUNT", "Threads that run doctor-days [default: 1]"),
    setting(
        "idle_seconds",
        "idle-seconds",
        "SECONDS",
        "A day without requests for this long goes to sleep [default: 60]",
    ),
    setting("awake_days_max", "awake-days-max", "COUNT", "Most days awake at once [default: 20000]"),
    setting("sleeping_mebibytes_max", "sleeping-mebibytes-max", "MIB", "Most memory of sleeping days [default: 2048]"),
    setting(
        "ledger_lag_max",
        "ledger-lag-max",
        "RECORDS",
        "Past this lag of the ledger new bookings are shed [default: 1000000]",
    ),
];
