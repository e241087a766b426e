//! What a run is told besides its seed.

use crate::{
    planted::Planted,
    workload::{PLAIN, WITH_PARTS},
};
use clap::{Args, ValueEnum};
use std::fmt;
use tandem_wire::design::BaseType;

/// Who is in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cast {
    /// One node, looked at after every step.
    Alone,
    /// The nodes of several members, and the network between them.
    Peers,
    /// The same with the real actors and tables of each node.
    Actors,
}

/// What kind of world the members live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Nobody judges.
    Peers,
    /// One or two of the nodes judge what the others write.
    Server,
    /// The same, and these propose one design after the other.
    Designs,
    /// Judged as well; values have parts, and servers have names and rows of their own.
    Values,
}

impl Profile {
    /// Whether some of the nodes judge.
    pub fn has_servers(self) -> bool {
        self != Self::Peers
    }

    /// What the fields of its lists hold.
    pub fn types(self) -> &'static [BaseType] {
        match self {
            Self::Peers | Self::Server | Self::Designs => &PLAIN,
            Self::Values => &WITH_PARTS,
        }
    }
}

/// The same seed with the same options is the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Options {
    /// Who is in the world
    #[arg(long, default_value_t = Self::default().cast)]
    pub cast: Cast,
    /// Among peers: whether somebody judges
    #[arg(long, default_value_t = Self::default().profile)]
    pub profile: Profile,
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
        Self { cast: Cast::Peers, profile: Profile::Peers, commands: 464, group_commands_max: 8, planted: None }
    }
}

impl Options {
    /// Real actors. Each seed takes much longer than without.
    pub fn actors() -> Self {
        Self { cast: Cast::Actors, ..Self::default() }
    }

    /// Members and their servers.
    pub fn server() -> Self {
        Self { profile: Profile::Server, ..Self::default() }
    }

    /// Members, and servers that propose designs.
    pub fn designs() -> Self {
        Self { profile: Profile::Designs, ..Self::default() }
    }

    /// Members and their servers, and values with parts.
    pub fn values() -> Self {
        Self { profile: Profile::Values, ..Self::default() }
    }

    /// One node, and as many commands as it is looked at closely for.
    pub fn alone() -> Self {
        Self { cast: Cast::Alone, commands: 200, ..Self::default() }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

/// As the command line takes them.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "--cast {} --commands {} --group-commands-max {}",
            self.cast, self.commands, self.group_commands_max
        )?;
        if self.profile != Profile::Peers {
            write!(f, " --profile {}", self.profile)?;
        }
        self.planted.map_or(Ok(()), |planted| write!(f, " --planted {planted}"))
    }
}
