//! Log lines, on standard error, so that they never mix with what was asked for.

use std::io::{self, IsTerminal};
use tandem_config::{Log as LogConfig, LogFormat, LogLevel};
use tracing_subscriber::{
    Layer, Registry,
    filter::LevelFilter,
    fmt,
    layer::{Layered, SubscriberExt},
    reload,
};

/// The log of this process, whose level and form can be changed while it is written.
pub(crate) struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    lines: reload::Handle<Lines, Filtered>,
}

type Filtered = Layered<reload::Layer<LevelFilter, Registry>, Registry>;
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;

impl Log {
    /// Starts it. A second start in one process (tests) keeps the first.
    pub fn start(config: &LogConfig) -> Self {
        let (filter, level) = reload::Layer::new(filter(config.level));
        let (layer, lines) = reload::Layer::new(form(config.format));
        let _ = tracing::subscriber::set_global_default(Registry::default().with(filter).with(layer));
        Self { level, lines }
    }

    /// Goes on in another way.
    pub fn change(&self, config: &LogConfig) {
        // They fail only where the log is gone, which it never is.
        let _ = self.level.reload(filter(config.level));
        let _ = self.lines.reload(form(config.format));
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn form(format: LogFormat) -> Lines {
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}
