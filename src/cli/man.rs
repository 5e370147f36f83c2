//! `keepwatch man DIR`: a manual page for the program and one for each command, for packages.
//!
//! clap's tree gives names, synopsis and options; [`sections`] adds what it does not know.

mod sections;

use super::args::{Cli, ManArgs};
use super::exit_code::COMPLETE;
use crate::types::{Fatal, chain};
use clap::Command;
use clap_mangen::Man;
use std::io;
use std::path::Path;

/// Write them all. They are for everybody to read, unlike all else that Keepwatch writes.
pub(super) fn run(args: &ManArgs) -> Result<u8, Fatal> {
    write_all(&args.dir).map_err(|e| {
        Fatal::new(
            format!("write the manual pages into {}", args.dir.display()),
            chain(&e),
            "name a folder that this account can write to",
        )
    })?;
    Ok(COMPLETE)
}

fn write_all(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, page) in pages()? {
        std::fs::write(folder.join(name), page)?;
    }
    Ok(())
}

/// Every page with its file's name.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = Cli::visible();
    program.build();
    let mut commands = vec![&program];
    let mut pages = Vec::new();
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands());
        let man = Man::new(command.clone());
        pages.push((man.get_filename(), page(&man, command, &program)?));
    }
    pages.sort();
    Ok(pages)
}

fn page(man: &Man, command: &Command, program: &Command) -> io::Result<Vec<u8>> {
    // clap_mangen's own leaves an empty date out, and what follows takes its place. A date
    // would make each build another one.
    let mut page = format!(
        ".TH \"{}\" 1 \"\" \"keepwatch {}\" Keepwatch\n",
        command
            .get_display_name()
            .unwrap_or_else(|| command.get_name()),
        program.get_version().unwrap_or_default()
    )
    .into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let help = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    sections::all(&help, command, program).to_writer(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os;

    fn all() -> Vec<(String, String)> {
        let text = |page| String::from_utf8(page).unwrap();
        let pages = pages().unwrap().into_iter();
        pages.map(|(name, page)| (name, text(page))).collect()
    }

    #[test]
    fn every_command_has_a_page_with_all_that_a_reader_looks_for() {
        let pages = all();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        let commands = Cli::visible();
        for command in commands.get_subcommands() {
            let name = format!("keepwatch-{}.1", command.get_name());
            assert!(names.contains(&name.as_str()), "{name}");
        }
        for hidden in ["keepwatch-vault.1", "keepwatch-man.1"] {
            assert!(!names.contains(&hidden), "{hidden}");
        }
        for (name, text) in &pages {
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"] {
                assert_eq!(
                    text.matches(&format!("\n.SH {section}\n")).count(),
                    1,
                    "{name}"
                );
            }
            for section in ["\"EXIT STATUS\"", "ENVIRONMENT", "FILES", "\"SEE ALSO\""] {
                assert_eq!(
                    text.matches(&format!("\n.SH {section}\n")).count(),
                    1,
                    "{name}: {text}"
                );
            }
            assert!(
                !text.contains("Serve a vault") && !text.contains("EXTRA"),
                "{name}"
            );
        }
        let (_, main) = pages
            .iter()
            .find(|(name, _)| name == "keepwatch.1")
            .unwrap();
        assert!(main.contains("\n.SH EXAMPLES\n"), "{main}");
    }

    #[test]
    fn the_pages_name_the_files_that_this_system_has() {
        let (_, text) = all().remove(0);
        // A backslash is written as `\(rs`.
        let plain = text.replace(r"\(rs", "").replace('\\', "");
        // Nobody reads them on Windows.
        let candidates = os::config_candidates();
        if let Some(system) = candidates.last().filter(|_| !cfg!(windows)) {
            let system = system.display().to_string().replace('\\', "");
            assert!(plain.contains(&system), "{plain}");
        }
    }
}
