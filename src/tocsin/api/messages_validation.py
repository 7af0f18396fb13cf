"""What pydantic finds, in plain words: by the type of its error, in English and in French.

Places are the names of the error's own context. The French for what is missing or empty is the documentation's
(CONTRACT, section 2, "Errors").
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    english: str
    french: str


_TEXT: Final = Words("This should be text.", "Cette valeur doit être un texte.")
_NUMBER: Final = Words("This should be a number.", "Cette valeur doit être un nombre.")
_WHOLE: Final = Words("This should be a whole number.", "Cette valeur doit être un nombre entier.")
_BOOLEAN: Final = Words("This should be true or false.", "Cette valeur doit être vraie ou fausse.")
_OBJECT: Final = Words("This should be an object.", "Cette valeur doit être un objet.")
_LIST: Final = Words("This should be a list.", "Cette valeur doit être une liste.")
_CHOICE: Final = Words("This should be {expected}.", "Cette valeur doit être l’une de celles-ci : {expected}.")
_UNKNOWN: Final = Words("There is no such member.", "Ce champ n’existe pas.")

VALIDATION: Final[dict[str, Words]] = {
    "missing": Words("This should not be empty.", "Cette valeur ne doit pas être vide."),
    "email": Words("This is not an e-mail address.", "Cette valeur n’est pas une adresse électronique."),
    "extra_forbidden": _UNKNOWN,
    "invalid_key": _UNKNOWN,
    "string_type": _TEXT,
    "string_sub_type": _TEXT,
    "string_unicode": Words("This text is not Unicode.", "Ce texte n’est pas de l’Unicode."),
    "string_too_short": Words(
        "This should have at least {min_length} characters.", "Ce texte doit avoir au moins {min_length} caractères."
    ),
    "string_too_long": Words(
        "This should have at most {max_length} characters.", "Ce texte doit avoir au plus {max_length} caractères."
    ),
    "string_pattern_mismatch": Words(
        "This is not written as {pattern} has it.", "Ce texte n’a pas la forme attendue : {pattern}."
    ),
    "too_short": Words(
        "This should have at least {min_length} items.", "Cette liste doit avoir au moins {min_length} éléments."
    ),
    "too_long": Words(
        "This should have at most {max_length} items.", "Cette liste doit avoir au plus {max_length} éléments."
    ),
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": Words("This number is too big.", "Ce nombre est trop grand."),
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": Words("This should be a finite number.", "Cette valeur doit être un nombre fini."),
    "greater_than": Words("This should be more than {gt}.", "Cette valeur doit être supérieure à {gt}."),
    "greater_than_equal": Words("This should be {ge} or more.", "Cette valeur doit être supérieure ou égale à {ge}."),
    "less_than": Words("This should be less than {lt}.", "Cette valeur doit être inférieure à {lt}."),
    "less_than_equal": Words("This should be {le} or less.", "Cette valeur doit être inférieure ou égale à {le}."),
    "multiple_of": Words(
        "This should be a multiple of {multiple_of}.", "Cette valeur doit être un multiple de {multiple_of}."
    ),
    "enum": _CHOICE,
    "literal_error": _CHOICE,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "iterable_type": _LIST,
    "none_required": Words("This should be null.", "Cette valeur doit être nulle."),
    "json_invalid": Words("The body is not JSON.", "Le corps de la requête n’est pas du JSON."),
    "json_type": Words("The body is not JSON.", "Le corps de la requête n’est pas du JSON."),
    "recursion_loop": Words("This is nested too deep.", "Cette valeur est trop imbriquée."),
    "recursion_depth_exceeded": Words("This is nested too deep.", "Cette valeur est trop imbriquée."),
    "is_instance_of": Words("This is of another kind.", "Cette valeur n’est pas du bon type."),
}
