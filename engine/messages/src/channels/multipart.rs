//! A form with a file in it (`multipart/form-data`, RFC 7578).
//! Must not know: who takes it.

use hyper::header::HeaderValue;
use uuid::Uuid;

/// One field. Name, file name and type are ours; the content may be any text.
pub(super) struct Field<'a> {
    /// Its name.
    pub(super) name: &'static str,
    /// Of a file: its name and its content type.
    pub(super) file: Option<(&'static str, &'static str)>,
    /// What it has in it.
    pub(super) content: &'a str,
}

impl<'a> Field<'a> {
    /// A plain text.
    pub(super) fn text(name: &'static str, content: &'a str) -> Self {
        Self { name, file: None, content }
    }
}

/// The content type, and the body. What parts the fields is made from `id`, and is in none of them.
pub(super) fn form(id: Uuid, fields: &[Field<'_>]) -> (HeaderValue, String) {
    let free = |boundary: &String| fields.iter().all(|field| !field.content.contains(boundary.as_str()));
    let boundary = (0_u32..).map(|number| format!("hotslot-{id}-{number}")).find(free).expect("texts end");
    let mut body = String::new();
    for Field { name, file, content } in fields {
        body.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\""));
        if let Some((file_name, content_type)) = file {
            body.push_str(&format!("; filename=\"{file_name}\"\r\nContent-Type: {content_type}"));
        }
        body.push_str(&format!("\r\n\r\n{content}\r\n"));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    (content_type.expect("letters, digits and dashes are plain text"), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary_of(content_type: &HeaderValue) -> String {
        let text = content_type.to_str().expect("plain text");
        text.strip_prefix("multipart/form-data; boundary=").expect("a form with a file").to_owned()
    }

    #[test]
    fn each_field_stands_between_boundaries() {
        let file = Field { name: "b", file: Some(("c.ics", "text/calendar")), content: "x\r\n" };
        let (content_type, body) = form(Uuid::nil(), &[Field::text("a", "1\n2"), file]);
        let boundary = boundary_of(&content_type);
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\n2\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"b\"; filename=\"c.ics\"\r\n\
             Content-Type: text/calendar\r\n\r\nx\r\n\r\n--{boundary}--\r\n"
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn no_text_can_end_its_field() {
        let (usual, _) = form(Uuid::nil(), &[]);
        let hostile = format!("\r\n--{}--\r\n", boundary_of(&usual));
        let (content_type, body) = form(Uuid::nil(), &[Field::text("a", &hostile)]);
        let boundary = boundary_of(&content_type);
        assert!(!hostile.contains(&boundary), "{boundary}");
        assert_eq!(body.matches(&format!("--{boundary}")).count(), 2, "{body}");
    }
}
