//! Pages of lists on the wire.
//! Must not know: what is listed.

use serde::Serialize;

/// One page.
#[derive(Serialize)]
pub(crate) struct Page<T> {
    /// The items, in the list's order.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// A list that has no pages.
#[derive(Serialize)]
pub(crate) struct Items<T> {
    /// The items, in the list's order.
    pub(crate) items: Vec<T>,
}

/// Cuts `rows`, read with one more than `limit`, into a page; `cursor` names where a row ends it.
pub(crate) fn page<'r, R, T>(
    rows: &'r [R],
    limit: usize,
    cursor: impl Fn(&'r R) -> String,
    view: impl Fn(&'r R) -> T,
) -> Page<T> {
    let kept = &rows[..rows.len().min(limit)];
    let next_cursor = if rows.len() > limit { kept.last().map(cursor) } else { None };
    Page { items: kept.iter().map(view).collect(), next_cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_page_with_more_behind_it_has_a_cursor() {
        let cut = |rows: &[u32]| page(rows, 2, ToString::to_string, |row| *row);
        assert_eq!((cut(&[]).items, cut(&[]).next_cursor), (vec![], None));
        assert_eq!((cut(&[1, 2]).items, cut(&[1, 2]).next_cursor), (vec![1, 2], None));
        assert_eq!((cut(&[1, 2, 3]).items, cut(&[1, 2, 3]).next_cursor), (vec![1, 2], Some("2".to_owned())));
    }
}
