//! `--run-file FILE.toml`: flags kept in a file, for any command. Keys are the flags' long names (a positional
//! argument goes by the name in the help, in lower case), and the command line wins over the file.
//!
//! The file becomes more words of the command line, so that both mean the same by construction.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{value_parser, Arg, ArgAction, ArgMatches, Command};
use toml::{Table, Value};

use super::model::BUILTIN;
use crate::error::{Error, InFile, Result};
use crate::util::nearest;

/// The flag's name.
const NAME: &str = "run-file";

/// The flag, for all commands.
pub fn flag() -> Arg {
    Arg::new(NAME)
        .long(NAME)
        .global(true)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Take flags from a TOML file, under their long names; the command line wins")
}

/// The words of a command line, with those of its run file where it names one; and the file.
///
/// # Errors
/// `Io` or `Format` for a file that cannot be read or is no TOML, `Usage` for keys the command does not know.
pub fn expand(words: Vec<OsString>, program: &Command) -> Result<(Vec<OsString>, Option<PathBuf>)> {
    if !words.iter().any(|word| word.to_string_lossy().contains(NAME)) {
        return Ok((words, None));
    }
    let mut command = program.clone().ignore_errors(true);
    // What is wrong with the command line itself is said when all of it is parsed.
    let Ok(matches) = command.try_get_matches_from_mut(words.iter()) else { return Ok((words, None)) };
    let (command, matches) = innermost(&command, &matches);
    let Some(file) = matches.try_get_one::<PathBuf>(NAME).ok().flatten().cloned() else {
        return Ok((words, None));
    };
    let text = std::fs::read_to_string(&file).map_err(|e| Error::io("cannot read", e)).in_file(&file)?;
    let words = add(words, &text, file.parent().unwrap_or(Path::new("")), command, matches).in_file(&file)?;
    Ok((words, Some(file)))
}

/// The subcommand that runs, and what was given to it.
fn innermost<'c>(mut command: &'c Command, mut matches: &'c ArgMatches) -> (&'c Command, &'c ArgMatches) {
    while let Some((name, inner)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        (command, matches) = (found, inner);
    }
    (command, matches)
}

fn add(
    mut words: Vec<OsString>,
    text: &str,
    folder: &Path,
    command: &Command,
    given: &ArgMatches,
) -> Result<Vec<OsString>> {
    let table: Table = text.parse().map_err(|e: toml::de::Error| not_toml(&e, text))?;
    let known = |arg: &&Arg| ![NAME, "help", "version"].contains(&arg.get_id().as_str());
    let args: Vec<(&str, &Arg)> = command.get_arguments().filter(known).map(|a| (key(a), a)).collect();
    let (mut flags, mut positional) = (Vec::new(), Vec::new());
    for (key, value) in &table {
        let Some((_, arg)) = args.iter().find(|(k, _)| k == key) else {
            return Err(unknown(key, command.get_name(), args.iter().map(|(k, _)| *k)));
        };
        if given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
            continue;
        }
        for value in values(key, value, arg)? {
            if arg.is_positional() {
                positional.push(located(arg, value, folder));
            } else if arg.get_action().takes_values() {
                let mut word = OsString::from(format!("--{key}="));
                word.push(located(arg, value, folder));
                flags.push(word);
            } else {
                flags.push(format!("--{key}").into());
            }
        }
    }
    let end = words.iter().position(|word| word == "--");
    let at = end.unwrap_or(words.len());
    words.splice(at..at, flags);
    if end.is_none() && !positional.is_empty() {
        words.push("--".into());
    }
    words.extend(positional);
    Ok(words)
}

/// What an argument is called in a file.
fn key(arg: &Arg) -> &str {
    arg.get_long().unwrap_or(arg.get_id().as_str())
}

fn unknown<'a>(key: &str, command: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    let hint = match nearest(key, known.clone()) {
        Some(name) => format!("; did you mean {name}?"),
        None => format!("; it knows {}", known.collect::<Vec<_>>().join(", ")),
    };
    Error::usage(format!("swath {command} has no flag named {key}{hint}"))
}

fn not_toml(error: &toml::de::Error, text: &str) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    Error::usage(format!("no TOML in line {line}: {}", error.message().replace('\n', " ")))
}

/// The texts a value stands for: one, one of each element for arguments that may be repeated, `key=value` for
/// the entries of a table, an empty one for a switch that is on.
fn values(key: &str, value: &Value, arg: &Arg) -> Result<Vec<String>> {
    let wrong = |wanted: &str| Err(Error::usage(format!("{key} should be {wanted}, not {value}")));
    let repeats = matches!(arg.get_action(), ArgAction::Append);
    match (arg.get_action().takes_values(), value) {
        (false, Value::Boolean(on)) => Ok(Vec::from_iter(on.then(String::new))),
        (false, _) => wrong("true or false"),
        (true, Value::Array(items)) => {
            let texts = items.iter().map(scalar).collect::<Option<Vec<_>>>();
            match (texts, repeats) {
                (None, _) => wrong("a list of texts or numbers"),
                (Some(texts), true) => Ok(texts),
                (Some(texts), false) => Ok(vec![texts.join(",")]),
            }
        }
        (true, Value::Table(entries)) if repeats => {
            let pair = |(name, value): (&String, &Value)| Some(format!("{name}={}", scalar(value)?));
            entries
                .iter()
                .map(pair)
                .collect::<Option<_>>()
                .map_or_else(|| wrong("a table of texts or numbers"), Ok)
        }
        (true, value) => scalar(value).map_or_else(|| wrong("a text or a number"), |text| Ok(vec![text])),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Table(_) => None,
        other => Some(other.to_string()),
    }
}

/// A value as a word; a path that is relative is relative to the file's folder.
fn located(arg: &Arg, value: String, folder: &Path) -> OsString {
    let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let built_in = arg.get_id() == "model" && value == BUILTIN;
    match is_path && !built_in {
        true => folder.join(value).into_os_string(),
        false => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::program;
    use super::*;

    /// The words that a file adds to a command line.
    fn added(line: &str, toml: &str) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job.toml");
        std::fs::write(&file, toml).unwrap();
        let mut words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let before = words.len() + 1;
        words.insert(2, format!("--{NAME}={}", file.display()).into());
        let here = format!("{}/", folder.path().display());
        let (words, found) = expand(words, &program())?;
        assert_eq!(found, Some(file));
        Ok(words[before..].iter().map(|w| w.to_str().unwrap().replace(&here, "HERE/")).collect())
    }

    #[test]
    fn keys_are_the_flags_and_the_command_line_wins() {
        let toml = "scenes = ['a.SAFE', '/b.SAFE']\nmodel = 'w.pth'\ntile = 64\nbbox = [1, 2.5, -3, 4]\n\
                    bands = ['tci', 'b08']\nmask = true\nquiet = false\n[set]\nscale = 2\ntype = 'x'";
        assert_eq!(
            added("swath upscale -o out.tif --tile 32", toml).unwrap(),
            [
                "--bands=tci",
                "--bands=b08",
                "--bbox=1,2.5,-3,4",
                "--mask",
                "--model=HERE/w.pth",
                "--set=scale=2",
                "--set=type=x",
                "--",
                "HERE/a.SAFE",
                "/b.SAFE"
            ]
        );
        let given = added("swath upscale c.SAFE -m demo", "scenes = ['a.SAFE']\nmodel = 'w.pth'").unwrap();
        assert_eq!(given, [""; 0]);
        assert_eq!(added("swath upscale", "model = 'demo'").unwrap(), ["--model=demo"]);
        assert_eq!(added("swath weights convert", "input='a.pth'").unwrap(), ["--", "HERE/a.pth"]);
    }

    #[test]
    fn what_a_command_does_not_know_is_refused_by_name() {
        for (toml, part) in [
            ("bbox_crs = 4326", "did you mean bbox-crs?"),
            ("xyz = 1", "it knows scenes"),
            ("run-file = 'x'", "no flag named run-file"),
            ("tile = { a = 1 }", "tile should be a text or a number"),
            ("mask = 1", "mask should be true or false"),
            ("tile = 1\ntile 2", "line 2"),
        ] {
            let error = added("swath upscale", toml).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Usage);
            let message = error.to_string();
            assert!(message.contains(part) && message.contains("job.toml"), "{message}");
        }
    }
}
