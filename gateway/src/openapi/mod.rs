//! The OpenAPI document (placeholder of the first compile).
/// The document.
pub(crate) fn document() -> String {
    String::new()
}
