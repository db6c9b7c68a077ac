//! Reminders, their policies and templates, dead letters in the document: their calls and their shapes.
//! Must not know: the other calls.

use serde_json::{Value, json};

use super::operation::{Operation, reference};
use super::schemas::{instant, object, or_null, uuid};

const MESSAGE_ID: &str = "5b0f6a39-6f2e-5c0e-9d0b-1e6a7c2d4f81";

/// The paths.
pub(super) fn paths() -> Value {
    json!({
        "/v1/appointments/{id}/reminders": {"get": read_reminders()},
        "/v1/doctors/{id}/reminder-policy": policy("Doctor", "doctor", "that doctor, admins"),
        "/v1/clinics/{id}/reminder-policy": policy("Clinic", "clinic", "admins"),
        "/v1/message-templates": {"get": list_templates()},
        "/v1/message-templates/{name}": {"get": read_template(), "put": put_template(), "delete": delete_template()},
        "/v1/message-preview": {"post": preview()},
        "/v1/dead-letters": {"get": list_dead()},
        "/v1/dead-letters/redrive": {"post": redrive_all()},
        "/v1/dead-letters/{id}/redrive": {"post": redrive()},
        "/v1/dead-letters/{id}/discard": {"post": discard()}
    })
}

fn read_reminders() -> Value {
    let description = "By version of the appointment, then instant. An offset that had passed when the appointment was booked has no \
                       row; what was not sent when the appointment changed is told as cancelled.";
    Operation::new("readReminders", "reminders", "Read what the patient was and will be told", description)
        .guarded("its patient, admins")
        .path_id("appointment")
        .answers(200, "Every message", "ReminderList", &[])
        .stored()
        .finish()
}

fn policy(of: &str, word: &str, who: &str) -> Value {
    let description = "A doctor's policy stands in the place of its clinic's, whole; without either, that of the settings holds. Messages \
                       of visits that are booked already stay as they were planned.";
    let call = |id: &str, summary: &str| {
        Operation::new(&format!("{id}ReminderPolicyOf{of}"), "reminders", summary, description)
            .guarded(who)
            .path_id(word)
    };
    let example = json!({
        "offsets": [{"before_seconds": 86400}, {"before_seconds": 3600, "channels": ["sms"]}],
        "minimum_notice_seconds": 900, "quiet_hours": {"from": "21:00", "to": "07:00"},
        "doctor_notices": {"channels": [{"channel": "email", "to": "winter@example.org"}], "kinds": ["cancellation"]}
    });
    json!({
        "get": call("read", "Read a policy of reminders").answers(200, "The policy", "ReminderPolicy", &[]).stored().finish(),
        "put": call("put", "Put a policy of reminders")
            .body(true, "ReminderPolicy", example)
            .answers(200, "The policy as put", "ReminderPolicy", &[])
            .stored()
            .finish(),
        "delete": call("delete", "Take a policy of reminders away")
            .answers(200, "The policy that was there", "ReminderPolicy", &[])
            .stored()
            .finish()
    })
}

fn name() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"})
}

fn template_call(id: &str, summary: &str, description: &str) -> Operation {
    Operation::new(id, "reminders", summary, description).guarded("admins").path_name("The template's name", name())
}

fn list_templates() -> Value {
    Operation::new("listMessageTemplates", "reminders", "List templates of messages", "By name.")
        .guarded("admins")
        .paged()
        .answers(200, "A page of templates", "MessageTemplatePage", &[])
        .stored()
        .finish()
}

fn read_template() -> Value {
    template_call("readMessageTemplate", "Read a template of messages", "")
        .answers(200, "The template", "NamedMessageTemplate", &[])
        .stored()
        .finish()
}

fn put_template() -> Value {
    let description = "Creates or replaces. Everything that can be wrong with a template is told here, with the line.";
    template_call("putMessageTemplate", "Put a template of messages", description)
        .body(true, "MessageTemplate", template_example())
        .answers(200, "The template as put", "NamedMessageTemplate", &[])
        .stored()
        .finish()
}

fn delete_template() -> Value {
    let description = "Messages that were to be told by it are told in the usual words.";
    template_call("deleteMessageTemplate", "Take a template of messages away", description)
        .answers(200, "The template that was there", "NamedMessageTemplate", &[])
        .stored()
        .finish()
}

fn template_example() -> Value {
    json!({
        "subject": {"en": "Your visit to {{ doctor }}", "de": "Ihr Termin bei {{ doctor }}"},
        "text": {"en": "{{ date }}, {{ time }}: {{ doctor }}, {{ place }}", "de": "{{ date }}, {{ time }}: {{ doctor }}, {{ place }}"}
    })
}

fn preview() -> Value {
    let description = "Of a made-up visit, by a template that was put (`name`), by one that was not (`template`), or in the usual \
                       words. Nothing is sent or kept.";
    Operation::new("previewMessage", "reminders", "See what a message looks like", description)
        .guarded("admins")
        .idempotent(false)
        .body(true, "MessagePreviewRequest", json!({"kind": "reminder", "channel": "email", "language": "de-AT"}))
        .answers(200, "The message in words", "MessagePreview", &[])
        .stored()
        .finish()
}

fn list_dead() -> Value {
    let description =
        "Messages that no channel took, by instant: look at last_error, mend the cause, then re-drive or discard.";
    Operation::new("listDeadLetters", "reminders", "List messages that no channel took", description)
        .guarded("admins")
        .paged()
        .answers(200, "A page of messages", "DeadLetterPage", &[])
        .stored()
        .finish()
}

fn letter_call(id: &str, summary: &str, description: &str) -> Operation {
    Operation::new(id, "reminders", summary, description).guarded("admins").idempotent(false)
}

fn redrive_all() -> Value {
    letter_call(
        "redriveDeadLetters",
        "Send all dead letters again",
        "Within a few seconds, under the same message ids.",
    )
    .body(false, "NoFields", json!({}))
    .answers(200, "How many", "Redriven", &[])
    .stored()
    .finish()
}

fn redrive() -> Value {
    letter_call("redriveDeadLetter", "Send a dead letter again", "Within a few seconds, under the same message id.")
        .path_id("message")
        .body(false, "NoFields", json!({}))
        .answers(200, "How many", "Redriven", &[])
        .stored()
        .finish()
}

fn discard() -> Value {
    letter_call("discardDeadLetter", "Give a dead letter up", "It stays in the appointment's list as failed.")
        .path_id("message")
        .body(false, "NoFields", json!({}))
        .answers(200, "How many", "Discarded", &[])
        .stored()
        .finish()
}

/// The shapes.
pub(super) fn schemas() -> Value {
    let mut all = messages();
    for (name, schema) in [policies(), templates()]
        .into_iter()
        .filter_map(|group| match group {
            Value::Object(group) => Some(group),
            _ => None,
        })
        .flatten()
    {
        all[name] = schema;
    }
    all
}

fn channel() -> Value {
    json!({"type": "string", "enum": ["file", "email", "sms", "telegram", "webhook"]})
}

fn kind() -> Value {
    json!({"type": "string", "enum": ["reminder", "confirmation", "change", "cancellation"]})
}

fn recipient() -> Value {
    json!({"type": "string", "enum": ["patient", "doctor"]})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn messages() -> Value {
    let status = json!({
        "type": "string", "enum": ["pending", "sending", "sent", "failed", "cancelled", "missed", "dead"],
        "description": "failed: the next channel was tried instead; missed: the visit had begun; dead: no channel took it"
    });
    let members = json!({
        "due_at": instant(), "kind": kind(), "channel": channel(), "status": status, "attempts": count(),
        "last_error": or_null(json!({"type": "string"})), "message_id": uuid(), "recipient": recipient(),
        "appointment_version": count(), "offset_seconds": count(), "sent_at": or_null(instant())
    });
    let mut dead = members.clone();
    dead["appointment_id"] = uuid();
    dead["start"] = instant();
    dead["message_id"]["examples"] = json!([MESSAGE_ID]);
    json!({
        "Reminder": object(members, json!({})),
        "ReminderList": object(json!({"items": {"type": "array", "items": reference("Reminder")}}), json!({})),
        "DeadLetter": object(dead, json!({})),
        "DeadLetterPage": page("DeadLetter"),
        "Redriven": object(json!({"redriven": count()}), json!({})),
        "Discarded": object(json!({"discarded": count()}), json!({}))
    })
}

fn page(items: &str) -> Value {
    let cursor = json!({"type": ["string", "null"], "description": "Null on the last page"});
    object(json!({"items": {"type": "array", "items": reference(items)}, "next_cursor": cursor}), json!({}))
}

fn policies() -> Value {
    let seconds = |most: u32| json!({"type": "integer", "minimum": 60, "maximum": most});
    let wall_time = || json!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"});
    let offset = object(
        json!({"before_seconds": seconds(7_776_000)}),
        json!({
            "channels": {
                "type": ["array", "null"], "items": channel(), "minItems": 1, "maxItems": 5, "uniqueItems": true,
                "description": "Over each of these; null: over the first of the patient's own that works"
            },
            "template": or_null(name())
        }),
    );
    let notices = object(
        json!({
            "channels": {"type": "array", "maxItems": 5, "items": object(
                json!({"channel": channel()}),
                json!({"to": {"type": "string", "maxLength": 254, "description": "The doctor's address there"}})
            )},
            "kinds": {"type": "array", "items": kind(), "maxItems": 4, "uniqueItems": true}
        }),
        json!({}),
    );
    let named = json!({"confirmation": or_null(name()), "change": or_null(name()), "cancellation": or_null(name())});
    json!({
        "ReminderPolicy": object(
            json!({"offsets": {"type": "array", "items": offset, "maxItems": 10, "description": "Empty: no reminders"}}),
            json!({
                "minimum_notice_seconds": or_null(seconds(7_776_000)),
                "quiet_hours": or_null(object(json!({"from": wall_time(), "to": wall_time()}), json!({}))),
                "doctor_notices": or_null(notices),
                "templates": object(json!({}), named)
            }),
        )
    })
}

fn templates() -> Value {
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 40});
    let template = object(json!({"subject": texts(), "text": texts()}), json!({}));
    json!({
        "MessageTemplate": template,
        "NamedMessageTemplate": object(json!({"name": name(), "template": reference("MessageTemplate")}), json!({})),
        "MessageTemplatePage": page("NamedMessageTemplate"),
        "MessagePreviewRequest": object(
            json!({"kind": kind(), "channel": channel()}),
            json!({
                "recipient": recipient(), "language": {"type": ["string", "null"], "maxLength": 35},
                "name": or_null(name()), "template": {"anyOf": [reference("MessageTemplate"), {"type": "null"}]}
            }),
        ),
        "MessagePreview": object(
            json!({
                "subject": {"type": "string"}, "text": {"type": "string"}, "html": or_null(json!({"type": "string"}))
            }),
            json!({}),
        )
    })
}
