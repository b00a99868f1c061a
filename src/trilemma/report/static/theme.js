// Before anything is drawn: that scripts run, and the theme that the reader chose in this session.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("script");
  try {
    const kept = sessionStorage.getItem("trilemma-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch {
    // A page from disk may have no storage: the theme is then the system's.
  }
})();
