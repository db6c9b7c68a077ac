//! `hotslot top`: a live view of a running process for its operators, drawn from what it tells everybody (`/metrics`) and its admins.
//! Must not know: the inside of the process that it looks at.

mod draw;
mod page;
mod picture;
mod source;
mod terminal;
mod words;

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use engine::clock::Clock;
use ratatui::backend::TestBackend;
use ratatui::{Frame, Terminal};
use tokio::sync::watch;

use self::draw::Surroundings;
use self::picture::Picture;
use self::source::{Address, Look, Pass, Source};
use crate::auth::key::{self, KEY_FILE};
use crate::commands::Failure;
use crate::config::{Config, KeySource, parse_duration_seconds};
use crate::{screen, startup};

/// What one frame for a program has: lines and columns of a plain terminal, and room for all of the hottest days.
const ONCE_SIZE: (u16, u16) = (100, 38);
/// How many looks the line of wins goes back.
const HISTORY_MAX: usize = 240;

/// What is to be shown; replaced with every look.
#[derive(Clone, Default)]
struct Shown {
    picture: Option<Arc<Picture>>,
    history: Arc<Vec<u64>>,
    trouble: Option<String>,
}

impl Shown {
    fn draw(&self, frame: &mut Frame<'_>, url: &str) {
        let around = Surroundings { url, history: &self.history, trouble: self.trouble.as_deref() };
        match &self.picture {
            Some(picture) => draw::draw(frame, picture, &around),
            None => frame.render_widget(format!("hotslot top {url}: asking …"), frame.area()),
        }
    }
}

/// Does what the command line asks.
pub(crate) fn run(matches: &ArgMatches, config: &Config) -> Result<(), Failure> {
    let source = Arc::new(source(matches, config)?);
    let interval = interval(matches)?;
    let is_once = matches.get_flag("once");
    if !is_once && !std::io::stdout().is_terminal() {
        return Err(Failure::settings("standard output is no terminal; --once prints one frame"));
    }
    let runtime = startup::runtime()?;
    let first = runtime.block_on(source.look()).map_err(Failure::running)?;
    if is_once {
        return runtime.block_on(once(&source, first, interval));
    }
    let (shown, seen) = watch::channel(Shown::default());
    let url = source.url.to_string();
    runtime.spawn(async move { follow(&source, first, interval, &shown).await });
    let outcome = terminal::show(&runtime, seen, |frame, shown| shown.draw(frame, &url));
    runtime.shutdown_background();
    outcome.map_err(|error| Failure::running(format!("the terminal: {error}")))
}

fn source(matches: &ArgMatches, config: &Config) -> Result<Source, Failure> {
    let given = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let address = |name: &str| {
        let parsed = given(name).map(Address::parse).transpose();
        parsed.map_err(|reason| Failure::settings(format!("{name}: {reason} (--{name})")))
    };
    let url = address("url")?.ok_or_else(|| Failure::settings("url: which process? (--url)"))?;
    let metrics_url = address("metrics-url")?.unwrap_or_else(|| url.clone());
    let pass = match given("token") {
        Some(token) => Pass::Token(token.trim().to_owned()),
        None => pass_of(config),
    };
    Ok(Source::new(url, metrics_url, pass))
}

/// The key that `config` names, if there is one; none is made here.
fn pass_of(config: &Config) -> Pass {
    let path = match &config.key {
        KeySource::Inline(key) => return Pass::Key(key.clone()),
        KeySource::File(path) => path.clone(),
        KeySource::DataDirectory => config.engine.data_dir.join(KEY_FILE),
    };
    match key::load(&path) {
        Ok(key) => Pass::Key(key),
        Err(_) => Pass::None(format!("that needs --token, or --data-dir ({} is no key)", path.display())),
    }
}

fn interval(matches: &ArgMatches) -> Result<Duration, Failure> {
    let text = matches.get_one::<String>("interval").map_or("1s", String::as_str);
    let seconds = parse_duration_seconds(text).and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .filter(|seconds| (1..=60).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| Failure::settings(format!("interval: {text:?} is not a duration from 1s to 60s (--interval)")))
}

/// One frame, of what happens within `interval`.
async fn once(source: &Source, first: Look, interval: Duration) -> Result<(), Failure> {
    tokio::time::sleep(interval).await;
    let second = source.look().await.map_err(Failure::running)?;
    let picture = Picture::of(&first, &second, now_seconds(source));
    let history = [picture.won() as u64];
    let url = source.url.to_string();
    let around = Surroundings { url: &url, history: &history, trouble: None };
    let text =
        frame_text(ONCE_SIZE.0, ONCE_SIZE.1, |frame| draw::draw(frame, &picture, &around)).map_err(Failure::running)?;
    screen::say(text.trim_end()).map_err(|error| Failure::running(format!("standard output: {error}")))
}

/// Looks every `interval` until nobody wants to know.
async fn follow(source: &Source, first: Look, interval: Duration, shown: &watch::Sender<Shown>) {
    let mut ticks = tokio::time::interval(interval);
    let mut before = first;
    let mut history: VecDeque<u64> = VecDeque::new();
    ticks.tick().await;
    while !shown.is_closed() {
        ticks.tick().await;
        match source.look().await {
            Ok(after) => {
                let picture = Picture::of(&before, &after, now_seconds(source));
                history.push_back(picture.won().round() as u64);
                history.drain(..history.len().saturating_sub(HISTORY_MAX));
                let history = Arc::new(history.iter().copied().collect());
                shown.send_replace(Shown { picture: Some(Arc::new(picture)), history, trouble: None });
                before = after;
            }
            Err(reason) => shown.send_modify(|shown| shown.trouble = Some(reason)),
        }
    }
}

fn now_seconds(source: &Source) -> f64 {
    source.clock.now().0 as f64 / 1e3
}

/// What `draw` draws, as text without colours, for programs and tests.
fn frame_text(width: u16, height: u16, draw: impl FnOnce(&mut Frame<'_>)) -> Result<String, String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(|error| error.to_string())?;
    terminal.draw(draw).map_err(|error| error.to_string())?;
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for line in buffer.content().chunks(usize::from(width.max(1))) {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}
