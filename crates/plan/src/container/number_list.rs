//! Lists of processors and memory nodes, `0-3,7`, as the kernel writes them.

/// Highest number that is taken; kernels are built for less.
const HIGHEST: u32 = 8191;

/// Reads a list into words, bit n of word m for number 64 m + n. What is wrong is said without the list's name.
pub(super) fn read(text: &str) -> Result<Vec<u64>, String> {
    let mut words = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("{part:?} ends before it begins"));
        }
        for number in first..=last {
            let word = number as usize / 64;
            if words.len() <= word {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (number % 64);
        }
    }
    Ok(words)
}

fn number(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number =
        text.parse::<u64>().ok().filter(|_| plain).ok_or_else(|| format!("{text:?} is not a number"))?;
    u32::try_from(number)
        .ok()
        .filter(|number| *number <= HIGHEST)
        .ok_or_else(|| format!("{number} is above {HIGHEST}"))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn lists() {
        assert_eq!(read("0-3,7"), Ok(vec![0x8f]));
        assert_eq!(read(" 1 , 64-65 ,"), Ok(vec![2, 3]));
        assert_eq!(read(""), Ok(Vec::new()));
        for (text, why) in [
            ("3-1", "ends before"),
            ("a", "is not a number"),
            ("-1", "is not a number"),
            ("1-", "is not a number"),
            ("+1", "is not a number"),
            ("0-9876543210", "is above 8191"),
        ] {
            assert!(read(text).is_err_and(|e| e.contains(why)), "{text:?}: {:?}", read(text));
        }
    }
}
