//! GDAL's metadata tag (42112): dataset items and band descriptions as XML. GDAL escapes the text of an
//! item twice and undoes it twice; so does this.

use std::fmt::Write;

/// The XML, or `None` when there is nothing to say. `scale` is what one step of the samples is worth.
pub(super) fn gdal_metadata(items: &[(String, String)], bands: &[String], scale: f64) -> Option<String> {
    if items.is_empty() && bands.iter().all(String::is_empty) && scale == 1.0 {
        return None;
    }
    let mut xml = String::from("<GDALMetadata>\n");
    for (name, value) in items {
        let _ = writeln!(xml, "  <Item name=\"{}\">{}</Item>", escape(name), escape(&escape(value)));
    }
    for (i, band) in bands.iter().enumerate().filter(|(_, b)| !b.is_empty()) {
        let text = escape(&escape(band));
        let _ =
            writeln!(xml, "  <Item name=\"DESCRIPTION\" sample=\"{i}\" role=\"description\">{text}</Item>");
    }
    for i in (0..bands.len()).filter(|_| scale != 1.0) {
        let _ = writeln!(xml, "  <Item name=\"OFFSET\" sample=\"{i}\" role=\"offset\">0</Item>");
        let _ = writeln!(xml, "  <Item name=\"SCALE\" sample=\"{i}\" role=\"scale\">{scale}</Item>");
    }
    xml.push_str("</GDALMetadata>\n");
    Some(xml)
}

/// Escapes for XML text and attributes; characters that XML 1.0 cannot hold become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", c as u32);
            }
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_and_descriptions_are_escaped() {
        let items = [("A\"B".to_string(), "x < y & z\u{1}".to_string())];
        let xml = gdal_metadata(&items, &["red".to_string(), String::new()], 0.5).unwrap();
        assert!(xml.contains("name=\"A&quot;B\">x &amp;lt; y &amp;amp; z\u{fffd}</Item>"), "{xml}");
        assert!(xml.contains("sample=\"0\" role=\"description\">red<"), "{xml}");
        assert!(!xml.contains("sample=\"1\" role=\"description\""));
        let tree = roxmltree::Document::parse(&xml).unwrap();
        assert_eq!(tree.root_element().children().filter(|n| n.is_element()).count(), 6);
        assert!(xml.contains("name=\"SCALE\" sample=\"1\" role=\"scale\">0.5<"), "{xml}");
        assert_eq!(gdal_metadata(&[], &[String::new()], 1.0), None);
    }
}
