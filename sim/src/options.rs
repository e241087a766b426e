//! What a run is told besides its seed.

use crate::planted::Planted;
use clap::Args;
use std::fmt;

/// The same seed with the same options is the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Options {
    /// Commands that each seed's workload hands in while things break
    #[arg(long, default_value_t = Self::default().commands)]
    pub commands: u32,
    /// Commands that are made durable together, at most
    #[arg(long, default_value_t = Self::default().group_commands_max)]
    pub group_commands_max: usize,
    /// Breaks the node on purpose, to see that the checks can fail
    #[arg(long)]
    pub planted: Option<Planted>,
}

impl Default for Options {
    fn default() -> Self {
        Self { commands: 200, group_commands_max: 8, planted: None }
    }
}

/// As the command line takes them.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--commands {} --group-commands-max {}", self.commands, self.group_commands_max)?;
        self.planted.map_or(Ok(()), |planted| write!(f, " --planted {planted}"))
    }
}
