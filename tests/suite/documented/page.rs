//! The code in a page of Markdown, each piece with its line.

/// A piece of code: a line of a fenced block, or what stands between backticks.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Line in the page, from 1.
    pub line: usize,
    pub text: String,
    /// A line of a block; else between backticks.
    pub is_block: bool,
}

/// All code of a page. Lines of a block that end in `\` are one with the next.
pub fn code(page: &str) -> Vec<Code> {
    let mut found = Vec::new();
    let mut paragraph = String::new();
    let mut begins = 1;
    let mut in_block = false;
    let mut goes_on = false;
    for (number, line) in page.lines().enumerate().map(|(at, line)| (at + 1, line)) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            goes_on = false;
        } else if in_block {
            let (text, next) = match line.strip_suffix('\\') {
                Some(text) => (text, true),
                None => (line, false),
            };
            match found.last_mut() {
                Some(Code { text: before, .. }) if goes_on => before.push_str(text),
                _ => found.push(Code {
                    line: number,
                    text: text.to_owned(),
                    is_block: true,
                }),
            }
            goes_on = next;
            continue;
        }
        if in_block || line.trim().is_empty() || line.trim_start().starts_with("```") {
            spans(&paragraph, begins, &mut found);
            paragraph.clear();
        } else {
            if paragraph.is_empty() {
                begins = number;
            }
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
    spans(&paragraph, begins, &mut found);
    found
}

/// What stands between backticks in a paragraph, also over the end of a line.
fn spans(paragraph: &str, begins: usize, found: &mut Vec<Code>) {
    let mut at = 0;
    while let Some(start) = paragraph[at..].find('`').map(|found| at + found) {
        let ticks = paragraph[start..].chars().take_while(|c| *c == '`').count();
        let inner = start + ticks;
        let Some(length) = paragraph[inner..].find(&"`".repeat(ticks)) else {
            return;
        };
        found.push(Code {
            line: begins + paragraph[..start].matches('\n').count(),
            text: paragraph[inner..inner + length]
                .replace('\n', " ")
                .replace("\\|", "|"),
            is_block: false,
        });
        at = inner + length + ticks;
    }
}

/// The words of one line of a shell, a list for each command in it.
pub fn shell(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let mut quote = None;
    let end = |word: &mut String, commands: &mut Vec<Vec<String>>| {
        if !word.is_empty() {
            let last = commands.last_mut().unwrap();
            last.push(std::mem::take(word));
        }
    };
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, '|' | ';' | '&' | '>') => {
                end(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            // What may be left out.
            (None, '[' | ']') => {}
            (None, c) if c.is_whitespace() => end(&mut word, &mut commands),
            (None, c) => word.push(c),
        }
    }
    end(&mut word, &mut commands);
    commands
}

#[test]
fn code_is_found_with_its_line() {
    let page = "A `b\nc` and ``d`e``.\n\n```sh\nf \\\n  g\nh\n```\n| `i \\| j` |\n";
    let found: Vec<(usize, String, bool)> = code(page)
        .into_iter()
        .map(|code| (code.line, code.text, code.is_block))
        .collect();
    let want = [
        (1, "b c", false),
        (2, "d`e", false),
        (5, "f   g", true),
        (7, "h", true),
        (9, "i | j", false),
    ];
    assert_eq!(
        found,
        want.map(|(line, text, is)| (line, text.to_owned(), is))
    );
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    let line = "keepwatch restore \"A b/**\" [--at 'x y'] | head; keepwatch status # all";
    let want: [&[&str]; 3] = [
        &["keepwatch", "restore", "A b/**", "--at", "x y"],
        &["head"],
        &["keepwatch", "status"],
    ];
    assert_eq!(shell(line), want);
}
