"use strict";
(() => {
  const all = (words, from = document) => [...from.querySelectorAll(words)];
  const clips = all(".clip");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  document.documentElement.classList.add("js");

  // Finding by words and by model.
  const find = document.getElementById("find");
  const models = [...new Set(clips.map((clip) => clip.dataset.model).filter(Boolean))].sort();
  for (const name of models) find.model.append(new Option(name));
  find.hidden = clips.length < 4;
  find.model.parentElement.hidden = models.length < 2;
  const heard = (clip) => `${clip.textContent}`.toLowerCase();
  const show = () => {
    const words = find.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const model = find.model.value;
    let count = 0;
    for (const clip of clips) {
      const text = words.length ? heard(clip) : "";
      const fits = words.every((word) => text.includes(word));
      clip.hidden = !(fits && (!model || clip.dataset.model === model));
      count += !clip.hidden;
    }
    const some = words.length || model;
    find.querySelector("output").textContent = some ? `${count} of ${clips.length}` : "";
  };
  find.addEventListener("input", show);
  find.addEventListener("submit", (event) => event.preventDefault());
  show();

  // At rest a clip is its first frame and a button; it plays while the mouse is on it, and has the
  // browser's own controls once it was started.
  for (const video of all("video")) {
    const [place, button] = [video.closest(".stage"), document.createElement("button")];
    button.type = "button";
    button.className = "play";
    button.setAttribute("aria-label", `Play: ${video.getAttribute("aria-label")}`);
    video.controls = false;
    video.after(button);
    const begin = () => {
      if (video.controls) return;
      video.controls = true;
      video.focus();
      video.play().catch(() => {});
    };
    button.addEventListener("click", begin);
    video.addEventListener("click", begin);
    const mark = () => place.classList.toggle("playing", video.controls || !video.paused);
    video.addEventListener("play", mark);
    video.addEventListener("pause", mark);
    place.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !still.matches && !video.controls) {
        video.play().catch(() => {});
      }
    });
    place.addEventListener("pointerleave", () => video.controls || video.pause());
    video.addEventListener("error", () => told(video), true);
  }
  function told(video) {
    const card = video.closest(".clip");
    if (!card || card.querySelector(".failed")) return;
    const words = document.createElement("p");
    words.className = "note failed";
    words.textContent = "This browser cannot play it, or it is not beside this page any more.";
    video.closest(".stage").after(words);
  }

  // Enlarged, one after the other.
  const stage = document.getElementById("stage");
  const [shown, caption] = [stage.querySelector(".shown"), stage.querySelector(".caption")];
  let at = 0;
  const frames = () =>
    all("main .stage").filter((each) => each.matches("div, button") && !each.closest("[hidden]"));
  const put = (place) => {
    const there = frames();
    at = (place + there.length) % there.length;
    const one = there[at];
    const medium = one.querySelector("video, img");
    const copy = medium.cloneNode(true);
    if (copy.play) {
      medium.pause();
      copy.controls = true;
      copy.autoplay = !still.matches;
    }
    copy.removeAttribute("loading");
    shown.replaceChildren(copy);
    const title = one.parentElement.querySelector("h3, h4");
    caption.textContent = title ? title.textContent : "";
  };
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("button.stage, .enlarge");
    if (!opener) return;
    put(frames().indexOf(opener.closest(".stage")));
    stage.showModal();
  });
  stage.addEventListener("click", (event) => {
    const move = event.target.closest("[data-move]")?.dataset.move;
    if (move === "0") stage.close();
    else if (move) put(at + Number(move));
    else if (event.target.tagName === "IMG") event.target.classList.toggle("full");
  });
  stage.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move && event.target.tagName !== "VIDEO") put(at + move);
  });
  stage.addEventListener("close", () => shown.replaceChildren());

  // Lines that are copied; where the browser refuses, they are selected.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
})();
