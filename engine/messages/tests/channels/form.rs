//! Reads a form with a file in it as a provider does, strictly: what is not of the form fails the test.
//! Must not know: which fields there should be.

use super::provider::Request;

/// A field as it came.
#[derive(Debug)]
pub struct Field {
    /// The lines of its head.
    pub head: String,
    /// What it has in it.
    pub content: String,
}

/// The fields of a request, by name.
pub fn fields(request: &Request) -> Vec<(String, Field)> {
    let content_type = request.header("content-type").expect("a content type");
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").expect("a form with a file");
    let body = request.body.strip_prefix(&format!("--{boundary}\r\n")).expect("it begins with the boundary");
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).expect("it ends with the boundary");
    let field = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").expect("a head and a content");
        let named = head.strip_prefix("Content-Disposition: form-data; name=\"").expect("a named field");
        let name = named.split('"').next().expect("a name").to_owned();
        (name, Field { head: head.to_owned(), content: content.to_owned() })
    };
    body.split(&format!("\r\n--{boundary}\r\n")).map(field).collect()
}

/// The content of the one field of this name.
pub fn content<'a>(fields: &'a [(String, Field)], name: &str) -> &'a str {
    let mut named = fields.iter().filter(|(known, _)| known == name);
    let (Some((_, field)), None) = (named.next(), named.next()) else { panic!("one {name}: {fields:?}") };
    &field.content
}
