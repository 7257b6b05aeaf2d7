"""How an invoice's web page looks, on a screen and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #eef0f3; color: #1b2430;
  font: 14px/1.45 "Helvetica Neue", Helvetica, Arial, "Noto Sans", sans-serif; }
main { max-width: 210mm; margin: 24px auto; padding: 18mm 16mm; background: #fff;
  box-shadow: 0 1px 6px rgba(20, 30, 50, .16); }
h1 { margin: 0; font-size: 30px; font-weight: 600; letter-spacing: .01em; }
h2 { margin: 0 0 4px; font-size: 12px; font-weight: 600; color: #51606f;
  text-transform: uppercase; letter-spacing: .06em; }
address { font-style: normal; overflow-wrap: anywhere; }
.seller strong { font-size: 17px; }
.notice { margin: 0 0 20px; padding: 8px 12px; border: 1px solid #b45309; border-radius: 3px;
  background: #fff7e8; color: #7a3804; font-weight: 600; }
header, .parties, .sums { display: flex; justify-content: space-between; gap: 32px; }
header { padding-bottom: 18px; border-bottom: 2px solid #1f4b7a; }
.title { text-align: right; }
.number { margin: 4px 0 0; font-size: 17px; color: #1f4b7a; font-variant-numeric: tabular-nums; }
.parties { margin: 20px 0 26px; }
.parties > div { flex: 1 1 42%; }
.details { flex: 1 1 58%; margin: 0; }
.details div { display: flex; gap: 12px; padding: 1px 0; }
.details dt { flex: 0 0 30%; color: #51606f; }
.details dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.lines { width: 100%; font-size: 13px; }
.lines thead th { padding: 6px; border-bottom: 1.5px solid #1f4b7a; color: #51606f;
  font-weight: 600; text-align: left; vertical-align: bottom; }
.lines td { padding: 5px 6px; border-bottom: 1px solid #e1e5ea; vertical-align: top;
  overflow-wrap: anywhere; }
.lines .section th { padding: 12px 6px 4px; text-align: left; font-weight: 600; color: #1f4b7a; }
.lines .figure { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.lines thead .figure { white-space: normal; text-align: right; }
.wide { overflow-x: auto; }
.lines .dimension th { padding: 5px 6px; text-align: left; font-weight: 400; }
.lines .dimension td { border-bottom: 0; }
.lines .causes td { padding-top: 0; color: #51606f; font-size: 12px; }
.no { width: 34px; color: #51606f; }
.remark { color: #51606f; font-size: 12px; }
.sums { flex-direction: row-reverse; align-items: flex-end; margin: 18px 0 0; }
.totals th { padding: 3px 18px 3px 6px; font-weight: 400; text-align: left; white-space: nowrap; }
.shares th { white-space: normal; }
.totals td { padding: 3px 6px; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.totals .total th, .totals .total td { padding-top: 8px; border-top: 2px solid #1f4b7a;
  font-size: 18px; font-weight: 700; }
.shares { font-size: 13px; color: #33404d; }
.statement { margin-top: 30px; padding-top: 14px; border-top: 1px solid #c9d1da; }
.statement p { margin: 0 0 8px; }
.notes { margin-top: 22px; color: #51606f; font-size: 12px; }
.notes p { margin: 0 0 4px; }
@media (max-width: 640px) {
  main { margin: 0; padding: 16px; box-shadow: none; }
  header, .parties, .sums { flex-direction: column; gap: 16px; align-items: stretch; }
  .title { text-align: left; }
  .lines { font-size: 12px; }
  .wide .lines { min-width: 560px; }
}
@page { size: A4; margin: 16mm 15mm 18mm;
  @bottom-right { content: "Page " counter(page) " of " counter(pages);
    font: 9px Helvetica, Arial, sans-serif; color: #51606f; } }
@media print {
  body { background: #fff; font-size: 12px; }
  main { max-width: none; margin: 0; padding: 0; box-shadow: none; }
  thead { display: table-header-group; }
  .wide { overflow: visible; }
  tr, .sums, .notes, header, .parties { break-inside: avoid; }
  .section { break-after: avoid; }
}
"""
