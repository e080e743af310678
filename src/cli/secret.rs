//! Passwords: asked for at a terminal, else the first line of standard input. Never an argument, which others could read.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::Failure;

/// A new password; a person at a terminal types it twice, unseen.
pub(super) async fn new_password(what: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        let password = line().await?;
        if password.is_empty() {
            return Err(Failure::usage("Standard input has no password: write it there as one line."));
        }
        return Ok(password);
    }
    let _unseen = Unseen::begin()?;
    let password = asked(&format!("{what}: ")).await?;
    if password.is_empty() {
        return Err(Failure::usage("No password was given."));
    }
    if asked("The same again: ").await? != password {
        return Err(Failure::usage("The two passwords differ. Nothing was changed."));
    }
    Ok(password)
}

async fn asked(question: &str) -> Result<String, Failure> {
    let say = |text: &str| {
        let mut terminal = std::io::stderr().lock();
        let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
    };
    say(question);
    let answer = line().await;
    // What the person ended the line with was not shown either.
    say("\n");
    answer
}

/// A line of standard input. Ctrl-C ends the wait with an error, so that the terminal is put back as it was.
async fn line() -> Result<String, Failure> {
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = reading => line.map_err(|error| Failure::start(error.to_string()))??,
        _ = tokio::signal::ctrl_c() => return Err(Failure::usage("Interrupted. Nothing was changed.")),
    };
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Unseen(rustix::termios::Termios);

#[cfg(unix)]
impl Unseen {
    fn begin() -> Result<Self, Failure> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let terminal = std::io::stdin();
        let refused = |error: rustix::io::Errno| {
            Failure::start(format!("The terminal cannot hide a password: {error}. Pipe the password in instead."))
        };
        let before = tcgetattr(&terminal).map_err(refused)?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &unseen).map_err(refused)?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Unseen {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(not(unix))]
struct Unseen;

#[cfg(not(unix))]
impl Unseen {
    fn begin() -> Result<Self, Failure> {
        Err(Failure::usage("Pipe the password in: this system's terminal would show it."))
    }
}
