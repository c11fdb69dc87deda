//! Georeferencing from GMLJP2 (OGC 05-047r3): a rectified grid in an XML box, as Sentinel-2 has it.

use roxmltree::{Document, Node};

use crate::raster::{GeoTransform, Georef};

/// The rectified grid of a GML document; `None` when there is none that is complete. Its origin is the
/// centre of the upper left pixel.
pub(super) fn georef(xml: &str) -> Option<Georef> {
    let document = Document::parse(xml.trim_matches(|c: char| c == '\0' || c.is_whitespace())).ok()?;
    let grid = find(document.root_element(), "RectifiedGrid")?;
    let origin = find(grid, "origin")?;
    let position = find(origin, "pos").or_else(|| find(origin, "coordinates"))?;
    let vectors: Vec<Node> = grid.descendants().filter(|n| n.tag_name().name() == "offsetVector").collect();
    let [first, second] = vectors.as_slice() else { return None };
    let srs = [Some(origin), find(origin, "Point"), Some(grid), Some(*first)]
        .into_iter()
        .flatten()
        .chain(document.descendants().filter(|n| n.tag_name().name() == "Envelope"))
        .find_map(|n| n.attribute("srsName"))?;
    let epsg = epsg_of(srs)?;
    let pair = |node: Node| -> Option<(f64, f64)> {
        let (a, b) = two_numbers(node.text()?)?;
        Some(if latitude_first(epsg, srs) { (b, a) } else { (a, b) })
    };
    let ((x, y), (xc, yc), (xr, yr)) = (pair(position)?, pair(*first)?, pair(*second)?);
    let centre = GeoTransform([x, xc, xr, y, yc, yr]);
    Some(Georef { epsg, transform: centre.at_pixel(-0.5, -0.5) })
}

fn find<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.descendants().find(|n| n.tag_name().name() == name)
}

fn two_numbers(text: &str) -> Option<(f64, f64)> {
    let mut numbers = text.split(|c: char| c.is_whitespace() || c == ',').filter(|s| !s.is_empty());
    let pair = (numbers.next()?.parse::<f64>().ok()?, numbers.next()?.parse::<f64>().ok()?);
    (pair.0.is_finite() && pair.1.is_finite()).then_some(pair)
}

/// `urn:ogc:def:crs:EPSG::32631`, `http://www.opengis.net/def/crs/EPSG/0/32631` or `EPSG:32631`.
fn epsg_of(srs: &str) -> Option<u32> {
    srs.contains("EPSG").then(|| srs.rsplit([':', '/', '#']).next()?.parse().ok()).flatten()
}

/// Geographic systems of EPSG have latitude first where they are named by URN or URL.
fn latitude_first(epsg: u32, srs: &str) -> bool {
    (4000..5000).contains(&epsg) && (srs.starts_with("urn:") || srs.contains("/def/crs/"))
}

/// A GMLJP2 document for `georef` and an image of the given size: what [`georef`] reads back.
pub(super) fn document(georef: &Georef, width: usize, height: usize) -> String {
    let centre = georef.transform.at_pixel(0.5, 0.5).0;
    let srs = format!("urn:ogc:def:crs:EPSG::{}", georef.epsg);
    let pair = |x: f64, y: f64| {
        if latitude_first(georef.epsg, &srs) {
            format!("{y} {x}")
        } else {
            format!("{x} {y}")
        }
    };
    let (x0, y0) = georef.transform.apply(0.0, 0.0);
    let (x1, y1) = georef.transform.apply(width as f64, height as f64);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml">
  <gml:boundedBy>
    <gml:Envelope srsName="{srs}">
      <gml:lowerCorner>{lower}</gml:lowerCorner>
      <gml:upperCorner>{upper}</gml:upperCorner>
    </gml:Envelope>
  </gml:boundedBy>
  <gml:featureMember>
    <gml:FeatureCollection>
      <gml:featureMember>
        <gml:RectifiedGridCoverage dimension="2" gml:id="RGC0001">
          <gml:rectifiedGridDomain>
            <gml:RectifiedGrid dimension="2">
              <gml:limits>
                <gml:GridEnvelope>
                  <gml:low>0 0</gml:low>
                  <gml:high>{right} {bottom}</gml:high>
                </gml:GridEnvelope>
              </gml:limits>
              <gml:axisName>x</gml:axisName>
              <gml:axisName>y</gml:axisName>
              <gml:origin>
                <gml:Point gml:id="P0001" srsName="{srs}">
                  <gml:pos>{origin}</gml:pos>
                </gml:Point>
              </gml:origin>
              <gml:offsetVector srsName="{srs}">{across}</gml:offsetVector>
              <gml:offsetVector srsName="{srs}">{down}</gml:offsetVector>
            </gml:RectifiedGrid>
          </gml:rectifiedGridDomain>
          <gml:rangeSet>
            <gml:File>
              <gml:rangeParameters/>
              <gml:fileName>gmljp2://codestream/0</gml:fileName>
              <gml:fileStructure>Record Interleaved</gml:fileStructure>
            </gml:File>
          </gml:rangeSet>
        </gml:RectifiedGridCoverage>
      </gml:featureMember>
    </gml:FeatureCollection>
  </gml:featureMember>
</gml:FeatureCollection>
"#,
        lower = pair(x0.min(x1), y0.min(y1)),
        upper = pair(x0.max(x1), y0.max(y1)),
        right = width.saturating_sub(1),
        bottom = height.saturating_sub(1),
        origin = pair(centre[0], centre[3]),
        across = pair(centre[1], centre[4]),
        down = pair(centre[2], centre[5]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_from_centre_to_corner() {
        let georef_in =
            Georef { epsg: 32631, transform: GeoTransform::north_up(399960.0, 5.4e6, 10.0, -10.0) };
        let xml = document(&georef_in, 260, 220);
        assert!(xml.contains("<gml:pos>399965 5399995</gml:pos>"), "{xml}");
        assert_eq!(georef(&xml), Some(georef_in));
    }

    #[test]
    fn latitude_comes_first_in_named_geographic_systems() {
        let georef_in = Georef { epsg: 4326, transform: GeoTransform::north_up(-8.0, 5.0, 0.5, -0.5) };
        let xml = document(&georef_in, 4, 4);
        assert!(xml.contains("<gml:pos>4.75 -7.75</gml:pos>"), "{xml}");
        assert_eq!(georef(&xml), Some(georef_in));
    }

    #[test]
    fn incomplete_grids_are_none() {
        assert_eq!(georef("<gml/>"), None);
        assert_eq!(georef("not xml"), None);
        let xml =
            document(&Georef { epsg: 32631, transform: GeoTransform::north_up(0.0, 0.0, 1.0, -1.0) }, 1, 1);
        assert_eq!(georef(&xml.replace("EPSG::32631", "OGC::CRS84")), None);
        assert_eq!(georef(&xml.replace("<gml:pos>0.5", "<gml:pos>nan")), None);
    }
}
