//! One command for a client: its output becomes answers, its input is asked for.

use super::protocol::{Answer, PIECE_BYTES_MAX, Request};
use crate::{
    cli::{Console, Exit, run_on},
    show::Bars,
};
use indicatif::TermLike;
use std::{
    ffi::{OsStr, OsString},
    io::{self, BufWriter, ErrorKind, Read, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};
use tandem_actors::Node;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

/// A client that has no input for so long is given up: what writes into its pipe may take its time.
const GIVEN_WITHIN: Duration = Duration::from_secs(3600);

/// What a command is done with.
pub(super) struct Work {
    pub node: Arc<Node>,
    pub request: Request,
    /// To the client; closed when it is gone.
    pub answers: mpsc::Sender<Answer>,
    /// Pieces of its input, which end when it is gone.
    pub input: mpsc::Receiver<Vec<u8>>,
    /// Set when the result is not wanted any more: the client is gone, or the node stops.
    pub stop: [Arc<AtomicBool>; 2],
}

impl Work {
    /// Does it, on a thread that may be held up.
    pub fn run(self) -> Exit {
        let Self { node, request, answers, input, stop } = self;
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let words: Vec<OsString> = request.words.iter().map(|word| OsStr::from_bytes(word).to_owned()).collect();
        let printed = |answer| BufWriter::with_capacity(PIECE_BYTES_MAX, Printed { answers: answers.clone(), answer });
        let mut console = Console {
            out: Box::new(printed(Answer::Out)),
            err: Box::new(printed(Answer::Err)),
            input: Box::new(Input { answers: answers.clone(), pieces: input, piece: vec![], read: 0, is_ended: false }),
            screen: request.screen,
            bars: request.bar_width.map_or(Bars::Nowhere, |width| {
                Bars::Elsewhere(Box::new(move || Box::new(Terminal::new(answers.clone(), width))))
            }),
            user: request.user,
            folder: Some(path(&request.folder)),
            stop: stop.into(),
        };
        run_on(node, &words, &path(&request.data_dir), &mut console)
    }
}

/// Output of one kind.
struct Printed {
    answers: mpsc::Sender<Answer>,
    answer: fn(Vec<u8>) -> Answer,
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES_MAX)];
        let sent = self.answers.blocking_send((self.answer)(piece.to_vec()));
        sent.map(|()| piece.len()).map_err(|_| ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client's standard input. That the client went away is an error, not an end: half a file is not imported.
struct Input {
    answers: mpsc::Sender<Answer>,
    pieces: mpsc::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    /// How much of the piece was read.
    read: usize,
    is_ended: bool,
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() && !self.is_ended {
            self.answers.blocking_send(Answer::MoreInput).map_err(|_| ErrorKind::ConnectionAborted)?;
            let piece = Handle::current().block_on(timeout(GIVEN_WITHIN, self.pieces.recv()));
            self.piece = piece?.ok_or(ErrorKind::ConnectionAborted)?;
            self.read = 0;
            self.is_ended = self.piece.is_empty();
        }
        let length = (&self.piece[self.read..]).read(into)?;
        self.read += length;
        Ok(length)
    }
}

/// The client's standard error, for bars. What finds no room is not drawn.
#[derive(Debug)]
struct Terminal {
    answers: mpsc::Sender<Answer>,
    width: u16,
    drawn: Mutex<Vec<u8>>,
}

impl Terminal {
    fn new(answers: mpsc::Sender<Answer>, width: u16) -> Self {
        Self { answers, width, drawn: Mutex::default() }
    }

    fn draw(&self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.drawn.lock().expect("nothing panics while it draws").write_fmt(text)
    }

    /// Moves the cursor; by nothing would be by one.
    fn go(&self, steps: usize, to: char) -> io::Result<()> {
        if steps == 0 { Ok(()) } else { self.draw(format_args!("\x1b[{steps}{to}")) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.width
    }

    fn move_cursor_up(&self, steps: usize) -> io::Result<()> {
        self.go(steps, 'A')
    }

    fn move_cursor_down(&self, steps: usize) -> io::Result<()> {
        self.go(steps, 'B')
    }

    fn move_cursor_right(&self, steps: usize) -> io::Result<()> {
        self.go(steps, 'C')
    }

    fn move_cursor_left(&self, steps: usize) -> io::Result<()> {
        self.go(steps, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawn.lock().expect("nothing panics while it draws"));
        if !drawn.is_empty() {
            let _ = self.answers.try_send(Answer::Err(drawn));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::Screen;

    #[test]
    fn output_is_cut_into_pieces() {
        let (answers, mut said) = mpsc::channel(8);
        let mut out = Printed { answers, answer: Answer::Out };
        let bytes = vec![7; PIECE_BYTES_MAX + 1];
        out.write_all(&bytes).unwrap();
        assert_eq!(said.try_recv(), Ok(Answer::Out(bytes[1..].to_vec())));
        assert_eq!(said.try_recv(), Ok(Answer::Out(vec![7])));
        drop(said);
        assert_eq!(out.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn input_is_asked_for_and_its_end_is_not_the_clients() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _here = runtime.enter();
        let input = |pieces: &[&[u8]]| {
            let (answers, said) = mpsc::channel(8);
            let (send, pieces_sent) = mpsc::channel(8);
            pieces.iter().for_each(|piece| send.try_send(piece.to_vec()).unwrap());
            let mut input = Input { answers, pieces: pieces_sent, piece: vec![], read: 0, is_ended: false };
            drop(send);
            let mut read = Vec::new();
            let result = input.read_to_end(&mut read).map_err(|error| error.kind());
            (result.map(|_| read), said.len())
        };
        assert_eq!(input(&[b"na", b"me\n", b""]), (Ok(b"name\n".to_vec()), 3));
        assert_eq!(input(&[b"na", b"me\n"]), (Err(ErrorKind::ConnectionAborted), 3));
    }

    /// What an import of two rows says.
    fn import(is_wanted: bool) -> (Exit, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("people.csv"), "name\nAda\nNoor\n").unwrap();
        let node = Arc::new(Node::open(folder.path().join("data"), Default::default()).unwrap());
        node.create_workspace("Test", "Ada").unwrap();
        let (answers, mut said) = mpsc::channel(8);
        let request = Request {
            words: ["tandem", "import", "people.csv"].map(|word| word.as_bytes().to_vec().into()).into(),
            folder: folder.path().as_os_str().as_bytes().to_vec().into(),
            data_dir: b"data".to_vec().into(),
            screen: Screen::PIPE,
            bar_width: Some(0),
            user: None,
        };
        let stop = [Arc::default(), Arc::new(AtomicBool::new(!is_wanted))];
        let exit = Work { node: node.clone(), request, answers, input: mpsc::channel(1).1, stop }.run();
        let mut text = String::new();
        while let Ok(Answer::Out(piece) | Answer::Err(piece)) = said.try_recv() {
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        (exit, text)
    }

    #[test]
    fn an_import_that_nobody_wants_any_more_ends() {
        let (exit, text) = import(true);
        assert!(exit == Exit::Success && text.starts_with("imported 2 records into people\n"), "{text}");
        let (exit, text) = import(false);
        assert!(exit == Exit::Failure && text.starts_with("stopped half-way; `tandem undo "), "{text}");
        assert!(text.ends_with("tandem: stopped before the end\n"), "{text}");
    }

    #[test]
    fn a_terminal_is_drawn_on_when_it_is_flushed() {
        let (answers, mut said) = mpsc::channel(1);
        let terminal = Terminal::new(answers, 80);
        terminal.move_cursor_up(0).unwrap();
        terminal.move_cursor_up(2).unwrap();
        terminal.clear_line().unwrap();
        terminal.write_str("3 rows").unwrap();
        assert!(said.try_recv().is_err());
        terminal.flush().unwrap();
        terminal.write_str("4 rows").unwrap();
        terminal.flush().unwrap();
        assert_eq!(said.try_recv(), Ok(Answer::Err(b"\x1b[2A\r\x1b[2K3 rows".to_vec())));
        assert!(said.try_recv().is_err(), "there was no room, and nobody waited");
    }
}
