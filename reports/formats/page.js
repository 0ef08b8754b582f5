"use strict";
// What needs a script: sort, filter and copy. The controls are made here: without it none stands on the page.
const said = (tag, words, more) => Object.assign(document.createElement(tag), { textContent: words }, more);

for (const tools of document.querySelectorAll(".tools")) {
  const table = document.getElementById(tools.dataset.for);
  const body = table.tBodies[0], rows = [...body.rows];
  const label = said("label", "Filter ");
  const field = Object.assign(document.createElement("input"), { type: "search", autocomplete: "off" });
  const count = said("output", "");
  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
    const shown = rows.filter(row => getComputedStyle(row).display !== "none").length;
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  label.append(field);
  tools.append(label, count);
  field.addEventListener("input", apply);
  document.addEventListener("change", event => { if (event.target.name === "scenario") apply(); });
  apply();

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = said("button", head.textContent, { type: "button", className: "sort" });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort((one, other) => {
        const [a, b] = [value(one, column), value(other, column)];
        // What was not observed stays last, whichever way.
        const empty = v => v === "" || v === "\u2013";
        if (empty(a) || empty(b)) return empty(a) - empty(b);
        const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}

const copy = async text => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = said("textarea", text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
};
for (const code of document.querySelectorAll("code.copied, code[data-copy]")) {
  const text = code.dataset.copy || code.textContent;
  const button = said("button", "copy", { type: "button", className: "copy" });
  button.setAttribute("aria-label", `Copy ${text}`);
  button.addEventListener("click", async () => {
    await copy(text);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  code.after(button);
}
