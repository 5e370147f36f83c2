//! Who makes the office and works in it: everything is drawn from a seed.

use super::{Node, count_files, tree};
use fastrand::Rng;
use filetime::FileTime;
use std::ffi::OsStr;
use std::fs;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Files and links of the office, not counting empty folders.
const CUSTOMERS: usize = 300;
const PHOTOS: usize = 400;
const DOCUMENTS: usize = 850;

/// Files in a folder that is moved or deleted as a whole.
const FOLDER_MAX: usize = 10;

/// Who makes the office and works in it.
pub struct Clerk {
    root: PathBuf,
    random: Rng,
    /// Pieces of work done, so that new names are new.
    done: usize,
}

impl Clerk {
    pub fn new(root: &Path, seed: u64) -> Self {
        Self {
            root: root.to_owned(),
            random: Rng::with_seed(seed),
            done: 0,
        }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.random.fill(&mut bytes);
        bytes
    }

    fn table(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = String::from("Nummer;Name;Ort;Betrag\r\n");
        while text.len() < bytes {
            let number = self.random.u32(..);
            let cents = self.random.u32(0..100);
            text.push_str(&format!(
                "{number};Müller & Söhne;Köln;{}.{cents:02}\r\n",
                number % 9_000
            ));
        }
        text.into_bytes()
    }

    fn text(&mut self, words: usize) -> Vec<u8> {
        const WORDS: [&str; 6] = [
            "Angebot",
            "Auftrag",
            "für",
            "Grüße",
            "Rechnung",
            "Lieferung",
        ];
        let text: Vec<&str> = (0..words)
            .map(|_| WORDS[self.random.usize(..WORDS.len())])
            .collect();
        text.join(" ").into_bytes()
    }

    fn photo(&mut self) -> Vec<u8> {
        let count = self.random.usize(500..30_000);
        let mut bytes = b"\xff\xd8\xff\xe0\x00\x10JFIF\0".to_vec();
        bytes.extend(self.bytes(count));
        bytes.extend(b"\xff\xd9");
        bytes
    }

    /// A file with a random mode and a time from 1950 to 2030.
    fn put(&mut self, name: impl AsRef<OsStr>, content: &[u8]) {
        let path = self.root.join(name.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.dress(&path);
    }

    fn dress(&mut self, path: &Path) {
        let modes = [0o600, 0o644, 0o755, 0o444, 0o640];
        let mode = modes[self.random.usize(..modes.len())];
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let time = self.time();
        filetime::set_file_mtime(path, time).unwrap();
    }

    fn time(&mut self) -> FileTime {
        let ns = self.random.u32(0..1_000_000_000);
        // One in eight is older than 1970; the rest lies well before today.
        let seconds = match self.random.u8(0..8) {
            0 => self.random.i64(-631_152_000..0),
            _ => self.random.i64(0..1_700_000_000),
        };
        FileTime::from_unix_time(seconds, ns)
    }

    fn link(&mut self, target: &str, name: &str) {
        let path = self.root.join(name);
        symlink(target, &path).unwrap();
        let time = self.time();
        filetime::set_symlink_file_times(&path, time, time).unwrap();
    }

    fn customers(&mut self) {
        for number in 0..CUSTOMERS {
            let folder = format!("Kunden/{}/Kunde {number:04}", number % 26);
            let offer = self.text(200);
            self.put(format!("{folder}/Angebot.docx"), &offer);
            let rows = self.random.usize(10..20_000);
            let table = self.table(rows);
            self.put(format!("{folder}/Umsätze.csv"), &table);
        }
        let archive = self.table(9 * 1024 * 1024);
        self.put("Datenbank/export 2025.csv", &archive);
        let packed = self.bytes(10 * 1024 * 1024);
        self.put("Datenbank/nicht komprimierbar.csv", &packed);
        let image = self.bytes(17 * 1024 * 1024 + 1);
        self.put("Datenbank/Sicherung.bak", &image);
    }

    fn photos_and_documents(&mut self) {
        for number in 0..PHOTOS {
            let photo = self.photo();
            self.put(
                format!("Fotos/{}/IMG_{number:04}.JPG", 2000 + number % 20),
                &photo,
            );
        }
        for number in 0..DOCUMENTS {
            let words = self.random.usize(0..2_000);
            let text = self.text(words);
            let depth = number % 12;
            let folder = "Ablage/".repeat(depth + 1);
            self.put(format!("{folder}Schreiben {number}.odt"), &text);
        }
    }

    fn oddities(&mut self) {
        let long = "l".repeat(200);
        let names: Vec<Vec<u8>> = [
            &b"\xff\xfe kein UTF-8"[..],
            "B\u{fc}ro NFC.txt".as_bytes(),
            "Bu\u{308}ro NFD.txt".as_bytes(),
            b"zwei\nZeilen",
            b"100% sicher",
            b"%41",
            b" vorn und hinten ",
            b"Punkt.",
            b"...",
            b".versteckt",
            b".config/.tief/.datei",
            b"plus+plus & kaufm\xc3\xa4nnisch",
            "Emoji \u{1f4e6}.zip".as_bytes(),
            long.as_bytes(),
        ]
        .iter()
        .map(|name| name.to_vec())
        .collect();
        for name in &names {
            let inside = [b"Seltsam/", &name[..]].concat();
            let content = self.bytes(64);
            self.put(OsStr::from_bytes(&inside), &content);
            let nested = [b"Seltsam/in/", &name[..], b"/", &name[..]].concat();
            self.put(OsStr::from_bytes(&nested), &content);
        }
        for number in 0..150 {
            self.put(format!("Leer/leer {number}"), b"");
            let folder = self.root.join(format!("Leer/Ordner {number}"));
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
        }
        let very_long = format!("{long}/").repeat(6) + &long;
        let deep = format!("{}ganz unten.txt", "x/".repeat(150));
        for name in [very_long, deep] {
            self.put(name, b"weit weg");
        }
        fs::create_dir_all(self.root.join("Links")).unwrap();
        for (target, name) in [
            ("../Kunden", "Links/alle Kunden"),
            ("nirgends", "Links/tot"),
            ("im Kreis", "Links/im Kreis"),
            ("..", "Links/hinauf"),
            ("/etc/passwd", "Links/hinaus"),
            ("../Fotos/2000/IMG_0000.JPG", "Links/ein Foto"),
        ] {
            self.link(target, name);
        }
    }

    /// A few files of each sort, for a slow server.
    pub fn small_office(&mut self) {
        for number in 0..60 {
            let text = self.text(50);
            self.put(format!("Ablage/{}/Brief {number}.txt", number % 7), &text);
        }
        for number in 0..20 {
            let photo = self.photo();
            self.put(format!("Fotos/IMG_{number}.JPG"), &photo);
            let table = self.table(5_000);
            self.put(format!("Listen/{number}.csv"), &table);
        }
        let large = self.bytes(9 * 1024 * 1024);
        self.put("Listen/gro\u{df}.csv", &large);
        for name in [
            &b"kein UTF-8 \xff"[..],
            b"zwei\nZeilen",
            b"100%41",
            b" ",
            b"a+b",
        ] {
            self.put(OsStr::from_bytes(name), b"seltsam");
        }
        fs::create_dir(self.root.join("leer")).unwrap();
        self.link("nirgends", "tot");
    }

    /// Files of the office as they are now, in a fixed order.
    fn files(&self) -> Vec<PathBuf> {
        let is_file = |node: &Node| matches!(node, Node::File(..));
        let all = paths(&self.root, is_file);
        assert!(!all.is_empty(), "nothing left to work on");
        all
    }

    /// `count` random pieces of office work.
    pub fn work(&mut self, count: usize) {
        let mut files = self.files();
        for _ in 0..count {
            self.done += 1;
            let at = self.random.usize(..files.len());
            let file = self.root.join(&files[at]);
            if !fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file()) {
                // It went with a folder, or became something else.
                files.swap_remove(at);
                continue;
            }
            self.one_piece(&file, self.done);
            if self.done.is_multiple_of(50) {
                files = self.files();
            }
        }
    }

    fn one_piece(&mut self, file: &Path, number: usize) {
        let folder = file.parent().unwrap().to_owned();
        // More at once looks like a disk that is not mounted, and is held back.
        let is_small = folder != self.root && count_files(&folder) < FOLDER_MAX;
        match self.random.u8(0..16) {
            0..=3 => {
                let words = self.random.usize(1..500);
                fs::write(file, self.text(words)).unwrap();
            }
            4 => {
                // As editors save: write beside it, then rename over it.
                let beside = folder.join(format!("neu {number}.tmp"));
                fs::write(&beside, self.text(100)).unwrap();
                fs::rename(&beside, file).unwrap();
            }
            5 => {
                use std::io::Write as _;
                let mut open = fs::OpenOptions::new().append(true).open(file).unwrap();
                open.write_all(b"noch eine Zeile\n").unwrap();
            }
            6 => self.dress(file),
            7 | 8 => fs::remove_file(file).unwrap(),
            9 | 10 => fs::rename(file, folder.join(format!("umbenannt {number}"))).unwrap(),
            11 if is_small => {
                let moved = self.root.join(format!("verschoben {number}"));
                fs::rename(&folder, moved).unwrap();
            }
            12 if is_small => fs::remove_dir_all(&folder).unwrap(),
            13 => {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
                fs::write(file.join("innen"), b"jetzt ein Ordner").unwrap();
            }
            14 => {
                fs::remove_file(file).unwrap();
                symlink(format!("Ziel {number}"), file).unwrap();
            }
            _ => {
                let photo = self.photo();
                fs::write(folder.join(format!("neu {number}.jpg")), photo).unwrap();
            }
        }
    }
}

/// Paths of the nodes that `which` picks.
fn paths(root: &Path, which: impl Fn(&Node) -> bool) -> Vec<PathBuf> {
    let all = tree(root).into_iter();
    all.filter(|(_, node)| which(node))
        .map(|(path, _)| path)
        .collect()
}

/// Fill `root` with an office; how many files and links it has.
pub fn make_office(root: &Path, seed: u64) -> usize {
    let mut clerk = Clerk::new(root, seed);
    clerk.customers();
    clerk.photos_and_documents();
    clerk.oddities();
    paths(root, |node| !matches!(node, Node::EmptyFolder(_))).len()
}
