// Numbers of the report, and how they are written. Elements that show one name its place in the
// report's JSON (data-path) and how it is written (data-format).

const report = JSON.parse(document.getElementById("report-data").textContent);
const kNothing = "\u2013";

// A path is keys joined by dots; a dot inside a key is written %2E.
function pathOf(...keys) {
  return keys.map((key) => String(key).replaceAll("%", "%25").replaceAll(".", "%2E")).join(".");
}

function extend(path, ...keys) {
  return path + "." + pathOf(...keys);
}

function at(path) {
  let value = report;
  for (const key of path.split(".")) {
    if (value === null || value === undefined) return null;
    value = value[key.replaceAll("%2E", ".").replaceAll("%25", "%")];
  }
  return value === undefined ? null : value;
}

function groupDigits(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

// Four significant digits, without zeros at the end.
function significant(number) {
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size < 1e-3 || size >= 1e6) return String(Number(number.toExponential(3)).toExponential());
  return String(Number(number.toPrecision(4)));
}

function humanBytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.length; ++unit) bytes /= 1024;
  return (unit === 0 ? String(bytes) : bytes.toFixed(2)) + " " + units[unit];
}

function humanDuration(seconds) {
  if (seconds < 10) return seconds.toFixed(1) + "s";
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return whole + "s";
  if (whole < 3600) return Math.floor(whole / 60) + "m" + two(whole % 60) + "s";
  return Math.floor(whole / 3600) + "h" + two(Math.floor(whole / 60) % 60) + "m";
}

const formats = {
  text: String,
  flag: (value) => (value ? "yes" : "no"),
  count: groupDigits,
  number: significant,
  share: (value) => significant(100 * value) + "%",
  decibel: (value) => value.toFixed(2),
  bytes: humanBytes,
  duration: humanDuration,
};

function written(value, format) {
  if (value === null || value === undefined || value === "") return kNothing;
  return formats[format](value);
}

// The element that shows what stands at `path`.
function shown(path, format = "text", tag = "span") {
  const value = at(path);
  const number = tag === "td" && (typeof value === "number" || format !== "text");
  return element(tag, {"data-path": path, "data-format": format, class: number ? "number" : null},
                 written(value, format));
}

function cell(path, format = "text") {
  return shown(path, format, "td");
}

function plural(count, one, many = one + "s") {
  return groupDigits(count) + " " + (count === 1 ? one : many);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
