//! Do the channels do what they say, against real servers on real sockets: a mail server, providers that answer, fail, hang and answer late, and
//! files that crashes have torn?
//! Must not know: how channels are made inside.

mod alerts;
mod files;
mod form;
mod mail;
mod mail_server;
mod provider;
mod providers;
mod settings;
mod support;
