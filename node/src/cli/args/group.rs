//! The arguments of commands for groups: members, servers, conflicts and refusals.

use super::Json;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};
use tandem_wire::Role;

/// `tandem invite`
#[derive(Debug, ClapArgs)]
pub struct InviteArgs {
    /// What who joins may do
    #[arg(long, value_enum, default_value_t = RoleName::Writer)]
    pub role: RoleName,
    /// How many may join by it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub uses: u32,
    /// For how long: 30m, 72h, 14d
    #[arg(long, value_name = "TIME", default_value = "72h", value_parser = parse_time)]
    pub expires: Duration,
    /// A person has to approve each who joins (`tandem members approve`); for managers that is always so
    #[arg(long)]
    pub approve: bool,
    /// For a further device of this member, by name: it gets their role, and a person has to approve it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["role", "uses", "approve"])]
    pub device_of: Option<String>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem join`
#[derive(Debug, ClapArgs)]
pub struct JoinArgs {
    /// The ticket that `tandem invite` printed
    pub ticket: String,
    /// Your name there [default: the name of your user on this machine; for a further device, its owner's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `tandem members`
#[derive(Debug, ClapArgs)]
pub struct MembersArgs {
    /// What to change
    #[command(subcommand)]
    pub command: Option<MembersCommand>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem members …`
#[derive(Debug, Subcommand)]
pub enum MembersCommand {
    /// Give a member another role
    Role {
        /// Name, or start of the device's key
        who: String,
        /// The role
        #[arg(value_enum)]
        role: RoleName,
    },
    /// Remove a member's device: what it wrote that nobody here has seen counts for nothing
    Remove {
        /// Name, or start of the device's key
        who: String,
    },
    /// Let somebody in who waits, after comparing the device's key
    Approve {
        /// Name, or start of the device's key
        who: String,
    },
    /// Take an invitation back
    Withdraw {
        /// The start of its id, as `tandem members` shows it
        invitation: String,
    },
}

/// What a member may do; each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Read
    Reader,
    /// Change records
    Writer,
    /// Change lists, fields and views
    Designer,
    /// Change who is a member
    Manager,
}

impl RoleName {
    /// Its name.
    pub fn name(self) -> &'static str {
        crate::cli::members::role_name(self.into())
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Reader => Self::Reader,
            RoleName::Writer => Self::Writer,
            RoleName::Designer => Self::Designer,
            RoleName::Manager => Self::Manager,
        }
    }
}

/// `tandem inbox`
#[derive(Debug, ClapArgs)]
pub struct InboxArgs {
    /// Show at most so many refusals, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem resend`
#[derive(Debug, ClapArgs)]
pub struct ResendArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
    /// Other values, FIELD=VALUE
    #[arg(value_name = "FIELD=VALUE")]
    pub values: Vec<String>,
    /// Leave what was refused only because it needs this as it is
    #[arg(long)]
    pub alone: bool,
    /// Not now, but by itself, each time that the rule, role or design that refused it changes
    #[arg(long, conflicts_with_all = ["values", "alone"])]
    pub retry_when_changed: bool,
}

/// `tandem discard`
#[derive(Debug, ClapArgs)]
pub struct DiscardArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
}

/// `tandem hand-on`
#[derive(Debug, ClapArgs)]
pub struct HandOnArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
    /// Name, or start of a device's key
    pub to: String,
}

/// `tandem server`
#[derive(Debug, ClapArgs)]
pub struct ServerArgs {
    /// What to do
    #[command(subcommand)]
    pub command: Option<ServerCommand>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem server …`
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Have a node judge what is written from now on; only the owner can
    Bind(BindArgs),
    /// The same in place of who judges these lists now; verdicts that were seen here stand
    Rebind(BindArgs),
    /// Have a node judge no longer
    Unbind {
        /// Name, code, or start of the device's key
        who: String,
    },
    /// Print the code by which an owner binds this node
    Code,
    /// Show the rules that this node judges by, set them from a file, or try them
    Rules(RulesArgs),
    /// Show what this node calls the lists and fields where it speaks for a server, or set that from a file; nobody else is
    /// told
    Names {
        /// The file to set; without, the names are shown
        file: Option<PathBuf>,
    },
    /// Show members, verdicts and refusals, by rule and by member, and who is behind
    Console(Json),
}

/// `tandem server bind`, `tandem server rebind`
#[derive(Debug, ClapArgs)]
pub struct BindArgs {
    /// The node: a member's name, the start of its key, or the code that `tandem server code` prints there
    pub who: String,
    /// Only these lists, separated by commas; else the whole workspace
    #[arg(long, value_name = "LIST,…", value_delimiter = ',')]
    pub lists: Vec<String>,
    /// Its refusals are listed, and mask nothing
    #[arg(long)]
    pub mirror: bool,
}

/// `tandem server rules`
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RulesArgs {
    /// The file to set; without, the rules are shown
    pub file: Option<PathBuf>,
    /// Instead of setting them
    #[command(subcommand)]
    pub command: Option<RulesCommand>,
}

/// `tandem server rules …`
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say which of the records that are there would be refused by the rules of a file, and set nothing
    Test {
        /// The file
        file: PathBuf,
    },
}

/// `tandem resolve`
#[derive(Debug, ClapArgs)]
pub struct ResolveArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
    /// Take the value of this event, or the removal that it made
    #[arg(long = "use", value_name = "EVENT", conflicts_with_all = ["value", "keep_both"])]
    pub event: Option<String>,
    /// Take this value instead
    #[arg(long, value_name = "VALUE", conflicts_with = "keep_both")]
    pub value: Option<String>,
    /// Keep both: the other value goes into a second record; a record that was removed stays
    #[arg(long)]
    pub keep_both: bool,
}

/// A time as people write it: a number and m, h or d.
fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write it like 30m, 72h or 14d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _other => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    // Beyond a hundred years it is a slip.
    let seconds = number.checked_mul(seconds).filter(|seconds| (1..=100 * 366 * 86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}
