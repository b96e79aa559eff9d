// Included by the build script and by `gannet strategies new`, so that both mean the same names, and by tests of the
// registry.

/// `MeanReversion` for `mean_reversion`.
pub fn camel_case(name: &str) -> String {
    name.split('_')
        .map(|word| {
            word.chars().take(1).map(|first| first.to_ascii_uppercase()).chain(word.chars().skip(1)).collect::<String>()
        })
        .collect()
}

/// Whether the name is words of lower-case letters and digits, beginning with a letter, joined by one underscore each,
/// and no word of the language.
pub fn is_snake_case(name: &str) -> bool {
    const RESERVED: [&str; 54] = [
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
        "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
        "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "registry", "return", "self", "static",
        "struct", "super", "trait", "true", "try", "type", "typeof", "union", "unsafe", "unsized", "use", "virtual",
        "where", "while", "yield", "test",
    ];
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('_').all(is_word)
        && !RESERVED.contains(&name)
}

/// The hash of a strategy's file: FNV-1a of 128 bits, which is short enough to stand here.
pub fn file_hash(text: &[u8]) -> [u8; 16] {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME)).to_be_bytes()
}
