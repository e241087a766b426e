//! `tandem node`: from the open folder to the closed one.

use super::{
    reload,
    server::{COMMANDS_MAX, Server},
    signals::{self, Told},
    socket,
};
use crate::{
    cli::{
        Args, CliError, Console, Exit, Log, NodeArgs, open,
        remote::{self, Reached},
    },
    show::escape,
};
use sd_notify::NotifyState;
use std::{fs, io, path::PathBuf, process, time::Duration};
use tandem_actors::Node;
use tandem_config::Config;
use tokio::{
    net::UnixListener,
    runtime,
    sync::mpsc,
    task::spawn_blocking,
    time::{interval, timeout},
};

/// Commands that run when the node is told to stop may go on for so long, and have so long to end after that.
const PATIENCE: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_millis(500);

/// All is over by then, or is left as after a crash: nothing that was saved is lost, and the next start is slower.
const STOPPED_WITHIN: Duration = Duration::from_millis(4900);

/// Runs the node until it is told to stop.
pub(crate) fn run(args: &Args, node_args: &NodeArgs, console: &mut Console) -> Result<Exit, CliError> {
    let settings = open::settings(args)?;
    let log = Log::start(&settings.config.log);
    let named = open::data_dir(args, &settings.config)?;
    let node = match remote::reach(&named, || open::node(args, &settings.config))? {
        Reached::Open(node) => *node,
        Reached::Running(running) => return Err(CliError::RunsAlready { process: running.process() }),
    };
    if node.recovered().is_notable() {
        tracing::warn!("{}", node.recovered());
    }
    if !node_args.offline {
        node.go_online(open::network(&settings.config, node_args))?;
    }
    let folder = fs::canonicalize(&named).map_err(|error| CliError::File { path: named, error })?;
    let failed = |error| CliError::File { path: folder.join(socket::NAME), error };
    let listener = socket::listen(&folder).map_err(failed)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        // Besides commands: closing, and one to spare.
        .max_blocking_threads(COMMANDS_MAX as usize + 2)
        .build()
        .map_err(failed)?;
    let mut daemon = Daemon { args, config: settings.config, log, folder: folder.clone() };
    let exit = runtime.block_on(daemon.serve(node, listener, console));
    // A command that did not end in time ends with the process.
    runtime.shutdown_background();
    exit
}

struct Daemon<'a> {
    args: &'a Args,
    /// What holds.
    config: Config,
    log: Log,
    folder: PathBuf,
}

impl Daemon<'_> {
    async fn serve(
        &mut self,
        node: Node,
        listener: std::os::unix::net::UnixListener,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let failed = |error: io::Error| CliError::File { path: self.folder.join(socket::NAME), error };
        let mut told = signals::listen().map_err(failed)?;
        let device = node.device();
        let addresses: Vec<String> = node.addresses().iter().map(ToString::to_string).collect();
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        let (server, accepting) = Server::start(node, listener);
        keep_watchdog_quiet();
        notify(&[NotifyState::Ready]);
        let shown = self.folder.display().to_string();
        let listening = match addresses.is_empty() {
            true => "off the network".to_owned(),
            false => format!("listening at {}", addresses.join(", ")),
        };
        console.line(format_args!(
            "ready: device {device}, data in {0}, commands through {0}/{1}, {listening}",
            escape(&shown),
            socket::NAME
        ))?;
        console.flush()?;
        tracing::info!(%device, folder = shown, version = env!("CARGO_PKG_VERSION"), "the node runs");

        while let Some(Told::Reload) = told.recv().await {
            self.reload();
        }
        notify(&[NotifyState::Stopping]);
        tracing::info!("the node stops");
        tokio::spawn(end_at_a_second_signal(told));
        accepting.abort();
        socket::remove(&self.folder);
        match timeout(STOPPED_WITHIN, close(&server)).await {
            Ok(exit) => Ok(exit),
            Err(_late) => {
                tracing::warn!("the tables were not left tidy in time; nothing is lost, and the next start is slower");
                Ok(Exit::Failure)
            }
        }
    }

    /// Reads the configuration again, and takes on what can change while the node runs.
    fn reload(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the clock cannot be read"),
        }
        match open::settings(self.args) {
            Ok(read) => {
                let reload::Changed { config, after_restart } = reload::compare(&self.config, &read.config);
                self.config = config;
                self.log.change(&self.config.log);
                tracing::info!("the configuration was read again");
                if !after_restart.is_empty() {
                    tracing::warn!("these settings hold after a restart: {}", after_restart.join(", "));
                }
            }
            Err(error) => tracing::error!("the configuration stays as it was: {}", error.shown()),
        }
        notify(&[NotifyState::Ready]);
    }
}

/// Waits for commands, and closes the node.
async fn close(server: &Server) -> Exit {
    let Some(node) = server.stop(PATIENCE, GRACE).await else {
        tracing::warn!("a command holds on to the node; nothing is lost, and the next start is slower");
        return Exit::Failure;
    };
    match spawn_blocking(|| node.close()).await {
        Ok(Ok(())) => {
            tracing::info!("the node has stopped");
            Exit::Success
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the tables were not left tidy");
            Exit::Failure
        }
        Err(panic) => {
            tracing::error!(%panic, "closing met a fault of this program");
            Exit::Failure
        }
    }
}

async fn end_at_a_second_signal(mut told: mpsc::Receiver<Told>) {
    while let Some(what) = told.recv().await {
        if what == Told::Stop {
            tracing::warn!("told twice to stop: ends at once");
            process::exit(Exit::Failure as i32);
        }
    }
}

/// Tells systemd that this thread is well, twice in the time that it asks for; nothing where it does not ask.
fn keep_watchdog_quiet() {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        let mut ticks = interval((within / 2).max(Duration::from_millis(1)));
        loop {
            ticks.tick().await;
            notify(&[NotifyState::Watchdog]);
        }
    });
}

/// Says something to systemd; nothing where the node was not started by it.
fn notify(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
