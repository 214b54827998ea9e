"""US area codes by state, and what is searched for a campaign's number. Pure.

A table of our own: the geodata of `phonenumbers` takes two seconds and 160 MB to load, and does not
know codes such as 203 or 718 by themselves. A test holds it against them.
"""

from services.provisioner.domain import Launch, Search

# Codes that lie over each other, and so serve the same places, stand together.
_AREA_CODES = {
    "AK": "907",
    "AL": "205 659, 251, 256 938, 334",
    "AR": "327 870, 479, 501",
    "AZ": "480, 520, 602, 623, 928",
    "CA": (
        "209 350, 213 323 738, 279 916, 310 424, 341 510, 357 559, 369 707, 408 669, 415 628, "
        "442 760, 530 837, 562, 619 858, 626, 650, 657 714, 661, 747 818, 805 820, 831, 840 909, "
        "925, 949, 951"
    ),
    "CO": "303 720 983, 719, 748 970",
    "CT": "203 475, 860 959",
    "DC": "202 771",
    "DE": "302",
    "FL": (
        "239, 305 645 786, 321 407 689, 324 904, 352, 386, 448 850, 561 728, 656 813, 727, "
        "754 954, 772, 863, 941"
    ),
    "GA": "229, 404 470 678 770 943, 478, 706 762, 912",
    "HI": "808",
    "IA": "319, 515, 563, 641, 712",
    "ID": "208 986",
    "IL": "217 447, 224 847, 309 861, 312 773 872, 331 630, 464 708, 618 730, 779 815",
    "IN": "219, 260, 317 463, 574, 765, 812 930",
    "KS": "316, 620, 785, 913",
    "KY": "270 364, 502, 606, 859",
    "LA": "225, 318 457, 337, 504, 985",
    "MA": "339 781, 351 978, 413, 508 774, 617 857",
    "MD": "227 240 301, 410 443 667",
    "ME": "207",
    "MI": "231, 248 947, 269, 313 679, 517, 586, 616, 734, 810, 906, 989",
    "MN": "218, 320, 507 924, 612, 651, 763, 952",
    "MO": "235 573, 314 557, 417, 636, 660, 816 975",
    "MS": "228, 471 662, 601 769",
    "MT": "406",
    "NC": "252, 336 743, 472 910, 704 980, 828, 919 984",
    "ND": "701",
    "NE": "308, 402 531",
    "NH": "603",
    "NJ": "201 551, 609 640, 732 848, 856, 862 973, 908",
    "NM": "505, 575",
    "NV": "702 725, 775",
    "NY": (
        "212 332 347 465 646 718 917 929, 315 680, 329 845, 363 516, 518 838, 585, 607, 624 716, "
        "631 934, 914"
    ),
    "OH": "216, 220 740, 234 330, 283 513, 326 937, 380 614, 419 567, 436 440",
    "OK": "405 572, 539 918, 580",
    "OR": "458 541, 503 971",
    "PA": "215 267 445, 223 717, 272 570, 412 724 878, 484 610 835, 582 814",
    "RI": "401",
    "SC": "803 839, 821 864, 843 854",
    "SD": "605",
    "TN": "423 729, 615 629, 731, 865, 901, 931",
    "TX": (
        "210 726, 214 469 945 972, 254, 281 346 621 713 832, 325, 361, 409, 430 903, 432, 512 737, "
        "682 817, 806, 830, 915, 936, 940, 956, 979"
    ),
    "UT": "385 801, 435",
    "VA": "276, 434, 540 826, 571 703, 686 804, 757 948",
    "VT": "802",
    "WA": "206, 253, 360 564, 425, 509",
    "WI": "262, 274 920, 353 608, 414, 534 715",
    "WV": "304 681",
    "WY": "307",
}
_PLACES = [
    (state, tuple(codes.split())) for state, all_codes in _AREA_CODES.items()
    for codes in all_codes.split(",")
]  # fmt: skip
_STATES = {code: state for state, codes in _PLACES for code in codes}
_OVERLAYS = {code: codes for _, codes in _PLACES for code in codes}


def searches(launch: Launch) -> tuple[Search, ...]:
    """The searches to make for a campaign's number, in their order: its area codes, those that
    serve the same places, then all of their states. Of an unknown code nothing is near."""
    wanted = launch.area_codes
    if not wanted:
        return (Search(),)
    if not launch.nearby:
        return tuple(Search(area_code=code) for code in wanted)
    same_places = [other for code in wanted for other in _OVERLAYS.get(code, ())]
    states = [_STATES[code] for code in wanted if code in _STATES]
    return (
        *(Search(area_code=code) for code in dict.fromkeys((*wanted, *same_places))),
        *(Search(state=state) for state in dict.fromkeys(states)),
    )


def fits(search: Search, number: str) -> bool:
    """Whether a number is what was searched for, whatever the provider thinks of it."""
    code = number[2:5]
    if search.area_code is not None:
        return code == search.area_code
    return search.state is None or _STATES.get(code) == search.state
