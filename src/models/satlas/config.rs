//! The reference's configuration files (JSON) as options: what tensors cannot tell.
//!
//! A file may hold a training configuration (`Model`, `Tasks`, `Channels`…), a model or a backbone
//! alone, or either of them under the key `config`. Backbones' names are hints that are not needed.

use serde_yaml_ng::Value;

use super::super::options::{Options, Origin};
use super::tasks;

/// Puts the options of a configuration; false when the text is none.
pub fn read(root: &Value, options: &mut Options) -> bool {
    let config = root.get("config").unwrap_or(root);
    if let Some(name) = config.as_str() {
        return published(name, options);
    }
    let model = config.get("Model").unwrap_or(config);
    let backbone = match model.get("Backbone") {
        // A backbone may wrap another, so a model is told by what stands beside.
        Some(backbone) if model.get("AggregationOp").is_none() => Some(backbone),
        _ if is_backbone(model) => Some(model),
        _ => None,
    };
    if backbone.is_none() && model.get("Heads").is_none() {
        return false;
    }
    let kind = model.get("Name").and_then(Value::as_str).filter(|name| *name == "classify");
    options.put("type", kind.unwrap_or("multihead4"), Origin::Yml);
    if let Some(backbone) = backbone {
        self::backbone(backbone, options);
    }
    for neck in list(model, "Intermediates") {
        flag(neck, "Prepend", "prepend", options);
    }
    let tasks = if config.get("Tasks").is_some() { list(config, "Tasks") } else { list(root, "tasks") };
    heads(list(model, "Heads"), tasks, options);
    if let Some(images) = config.get("NumImages").and_then(Value::as_u64) {
        options.put("n_s2_images", images.to_string(), Origin::Yml);
    }
    let channels: Vec<&str> = list(config, "Channels").iter().filter_map(Value::as_str).collect();
    if !channels.is_empty() {
        // "fake" stands for the further channels of the name before it, "virtual:…" for further images.
        let is_band = |name: &&str| *name != "fake" && !name.starts_with("virtual:");
        let bands: Vec<&str> = channels.into_iter().filter(is_band).collect();
        options.put("s2_bands", bands.join(","), Origin::Yml);
    }
    true
}

/// The options of a published configuration, by its file name.
fn published(name: &str, options: &mut Options) -> bool {
    let Some(published) = tasks::published(name) else { return false };
    options.put("type", "multihead4", Origin::Yml);
    options.put("tasks", published.tasks.join(","), Origin::Yml);
    true
}

fn is_backbone(value: &Value) -> bool {
    value.get("AggregationOp").is_some()
        || matches!(value.get("Name").and_then(Value::as_str), Some("aggregation" | "swin" | "resnet"))
}

fn backbone(backbone: &Value, options: &mut Options) {
    if let Some(op) = backbone.get("AggregationOp").and_then(Value::as_str) {
        options.put("aggregation", op, Origin::Yml);
    }
    let group = |group: &Value| -> String {
        let images = group.as_sequence().into_iter().flatten().filter_map(Value::as_u64);
        images.map(|image| image.to_string()).collect::<Vec<_>>().join(",")
    };
    let groups: Vec<String> = list(backbone, "Groups").iter().map(group).collect();
    if !groups.is_empty() {
        options.put("groups", groups.join(";"), Origin::Yml);
    }
}

fn heads(heads: &[Value], tasks: &[Value], options: &mut Options) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_string();
    let losses: Vec<String> = heads.iter().map(|head| text(head.get("Loss"))).collect();
    if losses.iter().any(|loss| !loss.is_empty()) {
        options.put("losses", losses.join(","), Origin::Yml);
    }
    // One side per map; a list of several has no place in the published networks.
    let side = |map: &Value| map.as_sequence().and_then(|sides| sides.first()).unwrap_or(map).as_f64();
    let anchors = |head: &Value| {
        let sides = list(head, "AnchorSizes").iter().filter_map(side).map(|side| side.to_string());
        sides.collect::<Vec<_>>().join(",")
    };
    let anchors: Vec<String> = heads.iter().map(anchors).collect();
    if anchors.iter().any(|sides| !sides.is_empty()) {
        options.put("anchors", anchors.join(";"), Origin::Yml);
    }
    // A task is named, as one of the built-in ones, or spelt out.
    let spelt = |task: &Value| -> (String, String) {
        let inline = task.get("Task").unwrap_or(task);
        let categories: Vec<&str> = list(inline, "categories").iter().filter_map(Value::as_str).collect();
        let name = text(task.get("Name"));
        match inline.get("type").and_then(Value::as_str) {
            Some(kind) if tasks::known(&name).is_none_or(|known| known.task.name() != kind) => {
                (kind.to_string(), categories.join(","))
            }
            _ => (name, categories.join(",")),
        }
    };
    let (kinds, categories): (Vec<String>, Vec<String>) = tasks.iter().map(spelt).unzip();
    if !kinds.is_empty() {
        options.put("tasks", kinds.join(","), Origin::Yml);
    }
    if categories.iter().any(|c| !c.is_empty()) {
        options.put("categories", categories.join(";"), Origin::Yml);
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_sequence).map_or(&[], Vec::as_slice)
}

fn flag(value: &Value, from: &str, to: &str, options: &mut Options) {
    if let Some(flag) = value.get(from).and_then(Value::as_bool) {
        options.put(to, flag.to_string(), Origin::Yml);
    }
}
