//! A log line as one JSON object with flat, dotted names: `{"timestamp", "level", "message", "target", …}` and the fields of the event.
//! Must not know: what is logged. Names are those of `fields`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::{fields, is_own};

/// Writes events.
pub(super) struct Lines;

/// Writes the fields of spans, as JSON objects, so that lines inside of them have these too.
pub(super) struct Fields;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (mut time, metadata) = (String::new(), event.metadata());
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Line { is_own: is_own(metadata.target()), ..Line::default() };
        event.record(&mut line);
        let message = line.fields.remove("message").unwrap_or_default();
        let mut whole = Map::new();
        for span in context.event_scope().into_iter().flatten() {
            if let Some(known) = span.extensions().get::<FormattedFields<N>>()
                && let Ok(known) = serde_json::from_str::<Map<String, Value>>(known)
            {
                known.into_iter().for_each(|(name, value)| _ = whole.entry(name).or_insert(value));
            }
        }
        whole.extend(line.fields);
        let head = [
            ("timestamp", Value::from(time)),
            ("level", Value::from(metadata.level().as_str())),
            ("message", message),
            ("target", Value::from(metadata.target())),
        ];
        writer.write_char('{')?;
        for (name, value) in head {
            // Known names need no escape.
            write!(writer, "\"{name}\":{value},")?;
        }
        for (name, value) in &whole {
            write!(writer, "{}:{value},", Value::from(name.as_str()))?;
        }
        writeln!(writer, "\"service.name\":\"hotslot\"}}")
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { is_own: true, ..Line::default() };
        fields.record(&mut line);
        write!(writer, "{}", Value::Object(line.fields.into_iter().collect()))
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut known: Map<String, Value> = serde_json::from_str(current).unwrap_or_default();
        let mut line = Line { is_own: true, ..Line::default() };
        fields.record(&mut line);
        known.extend(line.fields);
        current.fields = Value::Object(known).to_string();
        Ok(())
    }
}

/// The fields of one event, under the names that are told.
#[derive(Default)]
struct Line {
    is_own: bool,
    fields: BTreeMap<String, Value>,
}

impl Line {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // For who records spans, not for who reads lines.
        if field.name().starts_with("otel.") {
            return;
        }
        let name = match field.name() {
            "message" => "message".to_owned(),
            name if self.is_own => fields::told(name).into_owned(),
            name => fields::told_of_library(name),
        };
        self.fields.insert(name, value.into());
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}
