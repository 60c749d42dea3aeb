"""Mappings that several tests share."""

OXFORD = b"""
format = "csv"
[columns]
body = { titles = ["Body Name", "Client"], default = "OCC" }
unit = ["Service Area", "Organisatonal Unit"]
category = ["Expenditure Category", "Expenditure Catergory"]
type = ["Type", "Type of Expenditure"]
[date]
column = "Paid Date"
formats = ["%d/%m/%Y"]
[amount]
column = "Amount"
[transaction]
debit = "expense:{Expenditure Code}"
credit = "supplier:{Supplier ID|unknown}"
asset = "GBP/2"
reference = "{Trans No}"
[metadata]
category = "{category}"
supplier = "{Supplier Name}"
unit = "{unit}"
type = "{type}"
body = "{body}"
"""

SIMPLE = b"""
[date]
column = "Date"
formats = ["%d/%m/%Y", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%f%z"]
[amount]
column = "Amount"
strip = "\xc2\xa3"
[transaction]
debit = "expense:{Code}"
credit = "supplier:{Supplier|unknown}"
asset = "GBP/2"
reference = "{Note}"
[metadata]
note = "{Note}"
"""
