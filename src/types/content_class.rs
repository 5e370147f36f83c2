//! Classifies a file by its first bytes: encrypted, or of a known kind.
//!
//! Pure. Encrypted content looks like noise, and so does compressed content, but compressed
//! files nearly always say so in their first bytes. It never decides alone that something is
//! wrong: see `guard::ransomware`.

use serde::{Deserialize, Serialize};

/// Bytes at the beginning that are looked at. Attackers in a hurry encrypt no
/// more than the first few thousand; a longer sample would dilute these.
pub const SAMPLE_BYTES: usize = 4096;

/// Shorter content says too little: 256 values must occur a few times each.
const SAMPLE_BYTES_MIN: usize = 1024;

/// Bits per byte from which content counts as noise. Text stays below 6, office
/// formats without compression below 7; noise comes to 7.97 or more here.
const NOISE_BITS: f64 = 7.9;

/// How content looks; two bits in the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Look {
    /// Nobody has looked (a record of an earlier version, or of a listing), or
    /// there is too little of it.
    #[default]
    Unknown,
    /// Text, or something with a known beginning, or anything less even than noise.
    Plain,
    /// Noise: encrypted, or compressed by something that does not say so; also
    /// where it is written as text (base64 and the like).
    Noise,
    /// Nothing: no bytes at all, or the same byte all over.
    Blank,
}

/// Beginnings of formats that may be as even as noise, at their offset. What
/// encrypts (OpenPGP, age, containers) is not among them: that is the point.
const MAGICS: &[(usize, &[u8])] = &[
    (0, b"PK\x03\x04"),                       // zip, docx, xlsx, odt, jar, epub
    (0, b"PK\x05\x06"),                       // an empty zip
    (0, b"\x1f\x8b"),                         // gzip
    (0, b"BZh"),                              // bzip2
    (0, b"\xfd7zXZ\0"),                       // xz
    (0, b"\x28\xb5\x2f\xfd"),                 // zstd
    (0, b"\x04\x22\x4d\x18"),                 // lz4
    (0, b"7z\xbc\xaf\x27\x1c"),               // 7-Zip
    (0, b"Rar!\x1a\x07"),                     // RAR
    (0, b"\xff\xd8\xff"),                     // JPEG
    (0, b"\x89PNG\r\n\x1a\n"),                // PNG
    (0, b"GIF8"),                             // GIF
    (0, b"II*\0"),                            // TIFF and raw photos
    (0, b"MM\0*"),                            // the same, other byte order
    (0, b"II\x55\0"),                         // raw photos
    (0, b"FUJIFILM"),                         // raw photos
    (0, b"RIFF"),                             // WebP, AVI, WAV
    (0, b"%PDF"),                             // PDF
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), // old office files, Outlook messages
    (0, b"!BDN"),                             // Outlook's PST
    (0, b"OggS"),                             // Ogg
    (0, b"fLaC"),                             // FLAC
    (0, b"ID3"),                              // MP3
    (0, b"\xff\xfb"),                         // MP3 without a tag
    (0, b"\xff\xf3"),                         // the same
    (0, b"\xff\xf1"),                         // AAC
    (0, b"\x1aE\xdf\xa3"),                    // Matroska, WebM
    (0, b"\0\0\x01\xba"),                     // MPEG
    (0, b"\0\0\x01\xb3"),                     // MPEG
    (4, b"ftyp"),                             // MP4, MOV, HEIC, AVIF
    (4, b"moov"),                             // MOV
    (4, b"mdat"),                             // MOV
    (4, b"wide"),                             // MOV
    (0, b"PACK"),                             // git pack
    (0, b"\x78\x01"),                         // zlib: git objects
    (0, b"\x78\x5e"),                         // zlib
    (0, b"\x78\x9c"),                         // zlib
    (0, b"\x78\xda"),                         // zlib
    (0, b"wOFF"),                             // fonts
    (0, b"wOF2"),                             // fonts
    (0, b"SQLite format 3\0"),                // SQLite
    (0, b"MZ"),                               // programs
    (0, b"\x7fELF"),                          // programs
    (0, b"\x5d\0\0"),                         // LZMA
    (0, b"\x1f\x9d"),                         // compress
    (0, b"\xff\x0a"),                         // JPEG XL
    (0, b"\0\0\0\x0cJXL "),                   // JPEG XL
    (0, b"8BPS"),                             // Photoshop
];

impl Look {
    /// How content that begins with `sample` looks (its first [`SAMPLE_BYTES`]).
    pub fn of(sample: &[u8]) -> Self {
        let sample = &sample[..sample.len().min(SAMPLE_BYTES)];
        if sample.is_empty() {
            return Self::Blank;
        }
        if sample.len() < SAMPLE_BYTES_MIN {
            return Self::Unknown;
        }
        if sample.iter().all(|byte| *byte == sample[0]) {
            return Self::Blank;
        }
        let is_known = |(at, magic): &(usize, &[u8])| {
            sample
                .get(*at..)
                .is_some_and(|rest| rest.starts_with(magic))
        };
        if entropy_bits(sample) < NOISE_BITS || MAGICS.iter().any(is_known) {
            return match is_noise_as_text(sample) {
                true => Self::Noise,
                false => Self::Plain,
            };
        }
        Self::Noise
    }

    /// Whether a path that held this may be said to have been plain. Where
    /// nobody has looked, the name decides: these formats never look like noise.
    pub fn was_plain(self, name: &[u8]) -> bool {
        match self {
            Self::Plain => true,
            Self::Noise | Self::Blank => false,
            Self::Unknown => is_plain_by_name(name),
        }
    }
}

/// Endings of formats that are text or have a known beginning.
const PLAIN_ENDINGS: &[&str] = &[
    "txt", "csv", "tsv", "md", "rtf", "html", "htm", "xml", "json", "toml", "yaml", "yml", "ini",
    "log", "sql", "eml", "vcf", "ics", "tex", "doc", "docx", "docm", "dot", "dotx", "xls", "xlsx",
    "xlsm", "xlt", "ppt", "pptx", "odt", "ods", "odp", "odg", "pdf", "jpg", "jpeg", "png", "gif",
    "tif", "tiff", "bmp", "webp", "heic", "svg", "mp3", "mp4", "mov", "avi", "mkv", "wav", "zip",
    "msg", "pst", "sqlite", "py", "js", "ts", "c", "h", "cpp", "java", "rs", "go", "php", "sh",
    "bat", "ps1", "cs", "vb", "css",
];

fn is_plain_by_name(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else {
        return false;
    };
    let ending = name[dot + 1..].to_ascii_lowercase();
    PLAIN_ENDINGS.iter().any(|plain| plain.as_bytes() == ending)
}

/// What encrypts and writes text says so in these first lines.
const ARMORS: &[&[u8]] = &[
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN AGE ENCRYPTED FILE-----",
];

/// Certificates and keys begin so: base64 of what nobody encrypted.
const PEM: &[u8] = b"-----BEGIN ";

/// Bytes that may stand before noise that is written as text: a mark of whoever
/// wrote it. Formats that carry base64 (letters, pages, drawings) say more first.
const MARK_BYTES_MAX: usize = 64;

/// The same for the lines of an armor.
const ARMOR_BYTES_MAX: usize = 256;

/// Noise that is written with so many letters uses them evenly: this much below
/// the most that they can say, in bits a letter. Base64 of text lacks 0.4 and more.
const UNEVEN_BITS_MAX: f64 = 0.06;

/// Fewer letters than those of hexadecimal are figures.
const LETTERS_MIN: usize = 16;

/// Noise written as text: base64, base32, hexadecimal, and what uses all letters
/// (Ascii85), also in UTF-16, as Windows' own tools write it.
fn is_noise_as_text(sample: &[u8]) -> bool {
    let text = without_zeros(sample);
    let begins = |marks: &[&[u8]]| marks.iter().any(|mark| text.starts_with(mark));
    let before_max = match begins(ARMORS) {
        true => ARMOR_BYTES_MAX,
        false if begins(&[PEM]) => return false,
        false => MARK_BYTES_MAX,
    };
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    // The first long stretch of base64's letters, in lines or not.
    let mut begin = 0;
    for run in text.split(|byte| !is_letter(byte) && !is_break(byte)) {
        let letters: Vec<u8> = run.iter().copied().filter(|b| !is_break(b)).collect();
        if letters.len() >= SAMPLE_BYTES_MIN {
            return begin <= before_max && is_even(&letters);
        }
        begin += run.len() + 1;
    }
    let all: Vec<u8> = text.iter().copied().filter(|b| !is_break(b)).collect();
    all.len() >= SAMPLE_BYTES_MIN && all.iter().all(u8::is_ascii_graphic) && is_even(&all)
}

/// Text in UTF-16 without its upper halves and mark, in either order of bytes; else
/// as it is.
fn without_zeros(sample: &[u8]) -> Vec<u8> {
    for zeros_at in [0, 1] {
        let halves = sample.chunks_exact(2);
        let zeros = halves.clone().filter(|pair| pair[zeros_at] == 0).count();
        if zeros > 0 && zeros + 1 >= halves.len() {
            let text = halves.filter(|pair| pair[zeros_at] == 0);
            return text.map(|pair| pair[1 - zeros_at]).collect();
        }
    }
    sample
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(sample)
        .to_vec()
}

/// Whether these letters are used so evenly that nothing but noise does that.
fn is_even(letters: &[u8]) -> bool {
    let mut seen = [false; 256];
    for letter in letters {
        seen[usize::from(*letter)] = true;
    }
    let kinds = seen.iter().filter(|seen| **seen).count();
    kinds >= LETTERS_MIN && (kinds as f64).log2() - entropy_bits(letters) <= UNEVEN_BITS_MAX
}

/// Shannon's entropy of the bytes, with Miller's and Madow's correction for
/// short samples: without it 1,024 bytes of noise come to 7.8 only.
fn entropy_bits(sample: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let total = sample.len() as f64;
    let mut bits = 0.0;
    let mut values = 0.0;
    for count in counts.into_iter().filter(|count| *count > 0) {
        let share = f64::from(count) / total;
        bits -= share * share.log2();
        values += 1.0;
    }
    bits + (values - 1.0) / (2.0 * total * std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| random.u8(..))
            .take(bytes)
            .collect()
    }

    #[test]
    fn noise_is_told_from_everything_else() {
        for seed in 0..200 {
            // One byte that can begin no known format.
            let with = |bytes| [vec![b'#'], noise(seed, bytes)].concat();
            assert_eq!(Look::of(&with(SAMPLE_BYTES)), Look::Noise, "{seed}");
            assert_eq!(Look::of(&with(1100)), Look::Noise, "{seed}");
            assert_eq!(Look::of(&with(500)), Look::Unknown);
        }
        let text = "Sehr geehrte Frau Müller, anbei die Rechnung Nr. 4711. ".repeat(100);
        let words: Vec<u8> = noise(1, 4096).iter().map(|b| b & 0x7f).collect();
        for (name, plain) in [
            ("text", text.into_bytes()),
            ("seven bits", words),
            ("zip", [b"PK\x03\x04".to_vec(), noise(2, 4096)].concat()),
            (
                "jpeg",
                [b"\xff\xd8\xff\xe0".to_vec(), noise(3, 4096)].concat(),
            ),
            (
                "mp4",
                [b"\0\0\0\x18ftypmp42".to_vec(), noise(4, 4096)].concat(),
            ),
            ("gzip", [b"\x1f\x8b\x08".to_vec(), noise(5, 4096)].concat()),
        ] {
            assert_eq!(Look::of(&plain), Look::Plain, "{name}");
        }
        // Only the beginning encrypted, as attackers in a hurry do.
        let hurried = [vec![b'#'], noise(6, 4095), vec![b' '; 100_000]].concat();
        assert_eq!(Look::of(&hurried), Look::Noise);
    }

    #[test]
    fn what_nobody_has_looked_at_is_judged_by_its_name() {
        for (look, name, want) in [
            (Look::Plain, "x", true),
            (Look::Noise, "x.docx", false),
            (Look::Unknown, "Bericht.DOCX", true),
            (Look::Unknown, "secret.hc", false),
            (Look::Unknown, "docx", false),
        ] {
            assert_eq!(look.was_plain(name.as_bytes()), want, "{look:?} {name}");
        }
    }

    /// Written with these letters, each standing for as many bits as it can.
    fn as_text(bytes: &[u8], letters: &[u8]) -> Vec<u8> {
        let letter = |byte: &u8| letters[usize::from(*byte) % letters.len()];
        bytes.iter().map(letter).collect()
    }

    fn in_lines(text: &[u8], width: usize) -> Vec<u8> {
        text.chunks(width).collect::<Vec<_>>().join(&b"\n"[..])
    }

    const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    /// Base64 of bytes, as it is.
    fn base64(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        for three in bytes.chunks_exact(3) {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            for shift in [18, 12, 6, 0] {
                text.push(BASE64[(bits >> shift) as usize & 63]);
            }
        }
        text
    }

    #[test]
    fn noise_that_is_written_as_text_is_noise() {
        let ascii85: Vec<u8> = (b'!'..=b'u').collect();
        for seed in 0..100 {
            for bytes in [1_200, 8_000] {
                let noise = noise(seed, bytes);
                let text = as_text(&noise, BASE64);
                let utf16: Vec<u8> = text.iter().flat_map(|b| [*b, 0]).collect();
                for (name, sample) in [
                    ("base64", text.clone()),
                    ("base64 in lines", in_lines(&text, 76)),
                    (
                        "base64 behind a mark",
                        [b"LOCKED:".to_vec(), text.clone()].concat(),
                    ),
                    (
                        "base64 in JSON",
                        [br#"{"v":1,"d":""#.to_vec(), text.clone()].concat(),
                    ),
                    ("base64 in UTF-16", [b"\xff\xfe".to_vec(), utf16].concat()),
                    ("hexadecimal", as_text(&noise, b"0123456789abcdef")),
                    ("base32", as_text(&noise, &BASE64[..32])),
                    (
                        "an armor",
                        [
                            b"-----BEGIN PGP MESSAGE-----\nVersion: GnuPG v2\n\n".to_vec(),
                            in_lines(&text, 64),
                        ]
                        .concat(),
                    ),
                ] {
                    if name.contains("UTF-16") && bytes < 2_400 {
                        continue;
                    }
                    assert_eq!(Look::of(&sample), Look::Noise, "{name} {seed} {bytes}");
                }
            }
            let long = as_text(&noise(seed, 8_000), &ascii85);
            assert_eq!(Look::of(&long), Look::Noise, "Ascii85 {seed}");
        }
    }

    #[test]
    fn what_an_office_has_as_text_is_plain() {
        let text = "Sehr geehrte Frau Müller, anbei die Rechnung Nr. 4711. ".repeat(200);
        let noise = noise(7, 9_000);
        let code = as_text(&noise, BASE64);
        let behind = |head: &str| [head.as_bytes(), &code].concat();
        let figures: Vec<u8> = (0..400)
            .flat_map(|n| {
                format!("{};{}.{:02};\n", 4711 + n * 37, n * n % 9973, n % 100).into_bytes()
            })
            .collect();
        for (name, sample) in [
            ("base64 of text", base64(text.as_bytes())),
            ("a table of figures", figures),
            ("random figures", as_text(&noise, b"0123456789")),
            (
                "a certificate",
                in_lines(&behind("-----BEGIN CERTIFICATE-----\n"), 64),
            ),
            (
                "a letter with an attachment",
                behind(&"Received: from mail.example\n".repeat(10)),
            ),
            (
                "a page with a picture",
                behind(&format!(
                    "<html>{}<img src=\"data:image/png;base64,",
                    " ".repeat(80)
                )),
            ),
            ("words without spaces", text.replace(' ', "_").into_bytes()),
            (
                "a program",
                br"for(let i=0;i<n;i++){a[i]=b[i]+c[i];if(a[i]>m)m=a[i];}".repeat(60),
            ),
        ] {
            assert_eq!(Look::of(&sample), Look::Plain, "{name}");
        }
    }

    #[test]
    fn nothing_at_all_is_blank() {
        for (sample, want) in [
            (vec![], Look::Blank),
            (vec![0; 4096], Look::Blank),
            (vec![0xff; 2000], Look::Blank),
            // Too little to say so.
            (b"1".to_vec(), Look::Unknown),
            (vec![0; 100], Look::Unknown),
            ([vec![0; 2000], b"x".to_vec()].concat(), Look::Plain),
        ] {
            assert_eq!(Look::of(&sample), want, "{} bytes", sample.len());
        }
        assert!(!Look::Blank.was_plain(b"a.txt"));
    }
}
