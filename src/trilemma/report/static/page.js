// What every page has: the button of the themes, and a print that hides nothing.
(() => {
  "use strict";
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");

  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

  function label() {
    button.textContent = isDark() ? "Light theme" : "Dark theme";
  }

  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      sessionStorage.setItem("trilemma-theme", root.dataset.theme);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    label();
  });
  system.addEventListener("change", label);
  label();

  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not([open])")];
    for (const details of unfolded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of unfolded) details.open = false;
    unfolded = [];
  });
})();
