"""What keeps people from reading or using a page, by axe, in a browser that shows it."""

from importlib import resources

from selenium import webdriver

FIND = """
    const done = arguments[0];
    axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations.map(each => `${each.id}: ${each.nodes[0].html}`)), done);
"""


def violations(browser: webdriver.Chrome) -> list[str]:
    """A rule and the first element that violates it, for each such rule."""
    browser.set_script_timeout(60)
    browser.execute_script(resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    return list(browser.execute_async_script(FIND))
