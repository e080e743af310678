//! The configuration file: options that neither a flag nor a variable gives.

use std::ffi::{OsStr, OsString};

use clap::CommandFactory as _;
use serde_json::Value;

/// The command line with the options of the file appended that it does not give itself.
///
/// An option that no command has is refused; one of another command is left out.
pub(super) fn with_file(
    mut arguments: Vec<OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, String> {
    let Some(path) = file_named(&arguments).or_else(|| variable("BUREAU_CONFIG")) else { return Ok(arguments) };
    let shown = path.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("The configuration file {shown} cannot be read: {error}"))?;
    let options: serde_json::Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| format!("The configuration file {shown} is not a JSON object: {error}"))?;
    let command = super::Cli::command();
    // The command that the line names, down to `list` of `user list`.
    let words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    let chosen = words.fold(&command, |chosen, word| chosen.find_subcommand(word).unwrap_or(chosen));
    for (name, value) in options {
        let long = name.replace('_', "-");
        let has = |command: &clap::Command| {
            command.get_arguments().any(|argument| argument.get_long() == Some(long.as_str()))
        };
        if !anywhere(&command, &has) {
            return Err(format!(
                "The configuration file {shown} has an unknown key `{name}`. See `bureau serve --help` for what there is."
            ));
        }
        let flag = format!("--{long}");
        let given = arguments
            .iter()
            .any(|word| word.to_str().is_some_and(|word| word == flag || word.starts_with(&format!("{flag}="))));
        let by_variable = variable(&format!("BUREAU_{}", long.replace('-', "_").to_uppercase())).is_some();
        if given || by_variable || !(has(&command) || has(chosen)) {
            continue;
        }
        match value {
            Value::Bool(true) => arguments.push(flag.into()),
            Value::Bool(false) => {}
            Value::String(text) => arguments.push(format!("{flag}={text}").into()),
            Value::Number(number) => arguments.push(format!("{flag}={number}").into()),
            Value::Array(items) => {
                for item in items {
                    let text = item.as_str().ok_or_else(|| format!("`{name}` in {shown} must be a list of texts"))?;
                    arguments.push(format!("{flag}={text}").into());
                }
            }
            _ => return Err(format!("`{name}` in {shown} must be text, a number, true, false or a list of texts")),
        }
    }
    Ok(arguments)
}

/// Whether this holds of a command or of one below it.
fn anywhere(command: &clap::Command, holds: &impl Fn(&clap::Command) -> bool) -> bool {
    holds(command) || command.get_subcommands().any(|below| anywhere(below, holds))
}

fn file_named(arguments: &[OsString]) -> Option<OsString> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == OsStr::new("--config") {
            return words.next().cloned();
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(file: &str, line: &[&str], variables: &[&str]) -> Result<Vec<String>, String> {
        let path = std::env::temp_dir().join(format!(
            "bureau-config-{}-{}.json",
            std::process::id(),
            line.len() * 100 + file.len()
        ));
        std::fs::write(&path, file).unwrap();
        let arguments = std::iter::once("bureau").chain(line.iter().copied()).map(OsString::from);
        let arguments = arguments.chain(["--config".into(), path.clone().into()]).collect();
        let merged = with_file(arguments, |name| variables.contains(&name).then(|| "x".into()));
        std::fs::remove_file(&path).unwrap();
        let words = merged.map_err(|message| message.replace(&*path.to_string_lossy(), "FILE"))?;
        Ok(words.into_iter().skip(line.len() + 3).map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn flags_win_over_variables_and_variables_over_the_file() {
        let file = r#"{"listen": "127.0.0.1:1", "read_only": true, "toolsets": ["tasks", "crm"], "args": "{}"}"#;
        assert_eq!(
            merged(file, &["serve"], &[]).unwrap(),
            ["--listen=127.0.0.1:1", "--read-only", "--toolsets=tasks", "--toolsets=crm"]
        );
        assert_eq!(
            merged(file, &["serve", "--listen", "x", "--read-only"], &["BUREAU_TOOLSETS"]).unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn commands_below_commands_take_the_file_too() {
        let file = r#"{"database": "sqlite:/x.db", "url": "http://127.0.0.1:1", "listen": "127.0.0.1:1"}"#;
        let both = ["--database=sqlite:/x.db", "--url=http://127.0.0.1:1"];
        assert_eq!(merged(file, &["user", "list"], &[]).unwrap(), both);
        assert_eq!(merged(file, &["token", "list"], &[]).unwrap(), ["--database=sqlite:/x.db"]);
    }

    #[test]
    fn unknown_keys_and_broken_files_are_refused() {
        assert_eq!(
            merged(r#"{"lisen": "x"}"#, &["serve"], &[]).unwrap_err(),
            "The configuration file FILE has an unknown key `lisen`. See `bureau serve --help` for what there is."
        );
        assert!(
            merged("[", &["serve"], &[]).unwrap_err().starts_with("The configuration file FILE is not a JSON object")
        );
    }
}
