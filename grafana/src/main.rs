//! Writes the dashboards' files into this folder, where they are committed and provisioned from.
//! Must not know: what is on them.

fn main() -> std::io::Result<()> {
    dashboards::files()
        .into_iter()
        .try_for_each(|(name, text)| std::fs::write(format!("{}/{name}", env!("CARGO_MANIFEST_DIR")), text))
}
