// Functions of the page. Each callback is this text and one call after it.

// A coordinate of the object frame, px and micrometres.
function coordinate(value, pixel_um) {
  const px = `${Math.round(value)} px`
  return pixel_um == null ? px : `${px} = ${(Math.round(value) * pixel_um).toPrecision(5)} µm`
}

function wrapped(value) {
  return value - 2 * Math.PI * Math.ceil((value - Math.PI) / (2 * Math.PI))
}

// Phase as in the file, without its ramp, unwrapped, or both. `choice.active` holds 0 (ramp removed), 1 (unwrapped).
function show_phase(choice, views) {
  const is_flat = choice.active.includes(0), is_unwrapped = choice.active.includes(1)
  for (const view of views) {
    const {phase, flat, shown} = view.source.data
    const [constant, down, right] = view.plane
    const name = (is_flat ? "flat" : "phase") + (is_unwrapped ? "_unwrapped" : "")
    for (let i = 0; i < phase[0].length; i++) {
      const row = Math.floor(i / view.columns), column = i % view.columns
      const plane = constant + down * row + right * column
      const raw = phase[0][i]
      if (is_unwrapped)
        shown[0][i] = is_flat ? flat[0][i] : flat[0][i] + plane
      else
        shown[0][i] = is_flat ? wrapped(raw - plane) : raw
    }
    const colours = view.colours[name]
    view.mapper.palette = colours.palette
    view.mapper.low = colours.low
    view.mapper.high = colours.high
    view.source.change.emit()
    show_profile(view)
  }
}

// Amplitude and shown phase at the pixels under the line.
function show_profile(view) {
  const {x, y} = view.ends.data
  const length = Math.hypot(x[1] - x[0], y[1] - y[0])
  const count = Math.max(2, Math.min(4000, Math.ceil(length / view.step) + 1))
  const distance = new Float64Array(count), amplitude = new Float64Array(count), phase = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const part = i / (count - 1)
    const column = Math.floor((x[0] + part * (x[1] - x[0]) - view.left) / view.step)
    const row = Math.floor((y[0] + part * (y[1] - y[0]) - view.top) / view.step)
    const inside = column >= 0 && row >= 0 && column < view.columns && row < view.rows
    const at = row * view.columns + column
    distance[i] = part * length * (view.pixel_um ?? 1)
    amplitude[i] = inside ? view.source.data.amplitude[0][at] : NaN
    phase[i] = inside ? view.source.data.shown[0][at] : NaN
  }
  view.profile.data = {distance, amplitude, phase}
}

// The ends of the line follow the numbers, and the numbers the ends.
function move_ends(ends, boxes) {
  const [x0, y0, x1, y1] = boxes.map((box) => box.value ?? 0)
  const {x, y} = ends.data
  if (x[0] != x0 || y[0] != y0 || x[1] != x1 || y[1] != y1)
    ends.data = {x: [x0, x1], y: [y0, y1]}
}

function write_ends(ends, boxes) {
  const {x, y} = ends.data
  const values = [x[0], y[0], x[1], y[1]]
  boxes.forEach((box, i) => { box.value = Math.round(values[i]) })
}

function select_pattern(scan, number) {
  if (number != null && number >= 0 && number < scan.get_length() && scan.selected.indices[0] !== number)
    scan.selected.indices = [number]
}

// One of the patterns that the file holds.
function show_stored(scan, stored, shown, text, mappers, box) {
  const number = scan.selected.indices[0]
  if (number == null) return
  box.value = number
  const at = Array.from(stored.data.number).indexOf(number)
  if (at < 0) {
    text.text = `<p class="warning">This file does not hold pattern ${number}. Click a ringed position.</p>`
    return
  }
  const data = {}
  for (const name of ["measured", "modelled", "residual"]) data[name] = [stored.data[name][at]]
  shown.data = data
  for (const mapper of mappers.photons) {
    mapper.low = stored.data.low[at]
    mapper.high = stored.data.high[at]
  }
  mappers.residual.low = -stored.data.sigma[at]
  mappers.residual.high = stored.data.sigma[at]
  text.text = stored.data.text[at]
}
