//! The calendar, counted by hand.

/// Seconds since 1970 of `YYYY-MM-DDTHH:MM:SSZ` and nothing but that; second 60 is the second before.
///
/// `Err` when the text has that form and names no moment of the calendar, `None` when it has another form.
#[must_use]
pub fn read(text: &str) -> Option<Result<i64, ()>> {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let same = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if !bytes.iter().zip(FORM).all(same) {
        return None;
    }
    let number =
        |from: usize, to: usize| bytes[from..to].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) || hour > 23 || minute > 59 || second > 60 {
        return Some(Err(()));
    }
    let years: i64 = (0..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    // From the first day of year 0 to the first of 1970 there are 719,528 days.
    let days = years + months + day - 1 - 719_528;
    Some(Ok(days * 86_400 + hour * 3_600 + minute * 60 + second.min(59)))
}

/// The reverse of [`read`], for the years 0 to 9999.
#[must_use]
pub fn written(at: i64) -> Option<String> {
    let mut days = at.div_euclid(86_400) + 719_528;
    let mut year = 0;
    let length = |year| if is_leap(year) { 366 } else { 365 };
    if days < 0 {
        return None;
    }
    while days >= length(year) {
        days -= length(year);
        year += 1;
        if year > 9999 {
            return None;
        }
    }
    let mut month = 1;
    while days >= days_of(year, month) {
        days -= days_of(year, month);
        month += 1;
    }
    let second = at.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    Some(format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
